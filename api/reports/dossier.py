"""Makes the files of an audit report: page, paper, provenance in two forms, and the signed dossier that verifies offline.

Invariant: every file says the same; the signed one names the digests of the others. What the reader may not see is in none of them:
of withheld values the bundle holds neither text nor salt.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from api import checkpointing
from api.platform import Noesis
from api.reports.page import page
from api.reports.paper import paper
from governance.answers import Answer, Standing, answer, positions
from governance.dossier import CAUSE_MAX, Dossier, gather
from governance.erasure import holds
from governance.principals import Principal
from governance.readings import recorded
from kg import checkpoints, envelope, proofs
from kg.lineage import prov_json, why
from kg.model import Cause, Entity, Put
from kg.prov_turtle import turtle
from kg.store import Progress
from kg.values import LIST_MAX, Json, Ref, canonical, instant
from kg.view import View
from verifier import noesis_verify

FORMAT: Final = "noesis-dossier/1"
PAGE, PAPER, PROV_O, PROV_JSON, SEALED = "report.html", "report.pdf", "prov.ttl", "prov.json", "dossier.dsse.json"
#: Steps back from a decision in the provenance files.
DEPTH: Final = 8
ERASURES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Report:
    """The files by name, and what to print about them."""

    files: Mapping[str, bytes]
    answers: tuple[Answer, ...]
    key: str
    decisions: int


def report(
    platform: Noesis,
    who: Principal,
    subject: str,
    period: tuple[datetime, datetime] | None,
    progress: Progress | None = None,
) -> Report:
    """The report on a subject as `who` may see it; signs a checkpoint, verifies the ledger, and records the export."""
    store, evidence = platform.store, platform.evidence
    view = recorded(platform.view(who), platform.ontology, who, store, platform.clock)
    dossier = gather(store, view, subject, platform.clock.now(), period)
    checkpoint = checkpointing.make(platform, who.uid, "for an audit report")
    verified = store.verify(progress)
    compared = checkpoints.verify_all(
        store, evidence, checkpointing.anchor_of(platform), checkpointing.witnessed(platform)
    )
    signer = checkpointing.signer_of(platform)
    answers = answer(dossier, _standing(platform, dossier, verified, compared, checkpoint, signer.public.vkey))
    facts = _facts(dossier, who, checkpoint, signer.public.vkey)
    how = [f"python noesis_verify.py {SEALED} --key '{signer.public.vkey}' --files ."]
    prov = _prov(platform, view, dossier)
    title = f"Audit report: {dossier.title}"
    files = {
        PAGE: page(title, facts, answers, how).encode(),
        PAPER: paper(title, facts, answers, how),
        PROV_O: turtle(prov).encode(),
        PROV_JSON: (canonical(prov) + "\n").encode(),
    }
    bundle = _bundle(platform, view, dossier, answers, checkpoint)
    for one in answers:
        _keep_proven(one, bundle)
    content = {
        "format": FORMAT,
        "report": {"title": title, "facts": [list(fact) for fact in facts], "answers": [one.json() for one in answers]},
        "files": {name: hashlib.sha256(text).hexdigest() for name, text in sorted(files.items())},
        "bundle": bundle,
    }
    sealed = envelope.seal(envelope.DOSSIER_TYPE, canonical(content).encode(), signer)
    files[SEALED] = (canonical(sealed) + "\n").encode()
    _record(platform, who, dossier, hashlib.sha256(files[SEALED]).hexdigest())
    files["noesis_verify.py"] = Path(noesis_verify.__file__).read_bytes()
    return Report(files, tuple(answers), signer.public.vkey, len(dossier.cases))


def _entities(dossier: Dossier) -> list[Entity]:
    found = {(e.id, e.version): e for case in dossier.cases for e in case.entities()}
    return list(found.values())


def _personal(platform: Noesis, entity: Entity) -> set[str]:
    personal = platform.ontology.personal(entity.cls) if entity.cls in platform.ontology.classes else frozenset()
    return set(personal) & set(entity.properties)


def _standing(
    platform: Noesis, dossier: Dossier, verified: int, compared: int, checkpoint: Entity, key: str
) -> Standing:
    entities = _entities(dossier)
    erasures = platform.store.find("Erasure", first=ERASURES_MAX).items
    named = sorted({f"{e.cls}.{name}" for e in entities for name in _personal(platform, e)})
    held = {e.id for e in entities} & holds(platform.store).keys()
    size = int(str(checkpoint["size"]))
    files = (PAGE, PAPER, PROV_O, PROV_JSON, SEALED)
    return Standing(verified, key, size, compared, erasures, named, len(held), files)


def _facts(dossier: Dossier, who: Principal, checkpoint: Entity, key: str) -> list[tuple[str, str]]:
    return [
        ("about", dossier.title),
        ("made", instant(dossier.made)),
        ("for", who.uid),
        ("ledger", str(checkpoint["origin"])),
        ("checkpoint", f"{checkpoint['size']} changes, root {checkpoint['root']}"),
        ("public key", key),
    ]


def _prov(platform: Noesis, view: View, dossier: Dossier) -> dict[str, Json]:
    """The provenance of all decisions in one document; names of relations are kept apart by their number."""
    merged: dict[str, Json] = {}
    for number, case in enumerate(dossier.cases, 1):
        for part, records in prov_json(why(platform.store, view, case.decision.id, None, DEPTH)).items():
            place = merged.setdefault(part, {})
            if part == "prefix":
                place |= records
            elif part in {"entity", "activity", "agent"}:
                renamed = {_apart(name, number): value for name, value in records.items()}
                for name, value in renamed.items():
                    place[name] = {**place.get(name, {}), **value}
            else:
                place |= {f"{name}_{number}": _ends(value, number) for name, value in records.items()}
    return merged


def _apart(name: str, number: int) -> str:
    """Withheld things are numbered in each document; the decision's number keeps them apart."""
    return f"{name}-{number}" if name.startswith("noesis:withheld/") else name


def _ends(record: Mapping[str, Json], number: int) -> dict[str, Json]:
    return {name: _apart(value, number) if isinstance(value, str) else value for name, value in record.items()}


def _bundle(
    platform: Noesis, view: View, dossier: Dossier, answers: list[Answer], checkpoint: Entity
) -> dict[str, Json]:
    store, size = platform.store, int(str(checkpoint["size"]))
    wanted = positions(answers) | {entity.since for entity in _entities(dossier)}
    for case in dossier.cases:
        made = store.caused(case.cause.id, CAUSE_MAX + 1)
        if len(made) <= CAUSE_MAX:
            wanted |= {change.position for change in made}
    listed = sorted(position for position in wanted if position <= size)
    changes = [change for position in listed for change in store.changes(position - 1, 1)]
    stored = list(store.versions([(c.subject, c.version) for c in changes if c.version]).values())
    seen = {entity.since: shown for entity, shown in zip(stored, view.see(stored), strict=True)}
    sources = list(store.get([c.subject for c in changes if not c.version]).values())
    open_ = {e.id for e, shown in zip(sources, view.see(sources), strict=True) if shown is not None}
    hidden = {c.position for c in changes if (seen.get(c.position) is None if c.version else c.subject not in open_)}
    hidden |= {p for p, e in seen.items() if e is not None and e.masked - platform.ontology.personal(e.cls)}
    return proofs.bundle(
        store,
        platform.evidence,
        checkpoint,
        listed,
        shown=lambda opening, name: (e := seen.get(opening.position)) is not None and name not in e.masked,
        earlier=[one for one in checkpoints.stored(store) if int(str(one["size"])) < size][-10:],
        hidden=frozenset(hidden),
    )


def _keep_proven(one: Answer, bundle: Mapping[str, Json]) -> None:
    """Quote only what the bundle opens: a change that is shown closed can be rested on, not quoted."""
    causes = {cause["number"]: cause["text"] is not None for cause in bundle["causes"]}
    opened: dict[int, tuple[bool, bool, set[str]]] = {
        fact["position"]: (fact["rest"] is not None, causes[fact["cause"]], set(fact["personal"]))
        for fact in bundle["facts"]
    }
    kept = []
    for position, name, value in one.quotes:
        rest, cause, personal = opened.get(position, (False, False, set()))
        if cause if name.startswith("cause.") else rest or name in personal:
            kept.append((position, name, value))
    one.quotes = kept
    one.rests &= opened.keys()


def _record(platform: Noesis, who: Principal, dossier: Dossier, digest: str) -> None:
    """Keep on record that this left, and about whom, so that an erasure can mark it."""
    about = sorted({e.id for e in _entities(dossier) if _personal(platform, e)})[:LIST_MAX]
    values = {"exportKind": "audit report", "sha256": digest, "requestedBy": who.uid}
    marks = {"about": tuple(Ref(id) for id in about)} if about else {}
    cause = Cause(platform.clock.id(), "audit.report", who.uid, dossier.title)
    platform.store.commit([Put(platform.clock.id(), "Export", {**values, **marks})], cause)
