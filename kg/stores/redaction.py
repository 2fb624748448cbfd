"""What an erasure does to stored rows, and how the ledger still verifies: pure, shared by the stores and by verification.

Invariant I14: a value that goes takes its salt with it; what the leaf said of it stays as the commitment alone. Each touched
row keeps a note of the erasures that touched it with a salted digest of what was left, and the Erasure entity, a fact of the
ledger, holds one digest over all those notes: so nothing can be erased, or slipped into an erased row, without a record (I13).
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from kg.leaf import ERASURE, SALT_BYTES, cause_text, commitment, personal_commitments, rest_text
from kg.needles import ERASED
from kg.stores.rows import CauseRow, RelationRow, VersionRow
from kg.values import Json, canonical

#: The class whose entities record erasures, and its property with the digest over the touched rows.
CLASS: Final = "Erasure"
DIGEST: Final = "rowsDigest"
_TAGS: Final = {"date", "instant", "decimal", "money", "duration", "ref"}

Row = VersionRow | RelationRow | CauseRow
#: Gives what stays of a text, None where nothing in it has to go.
Scrub = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Touched:
    """A row after an erasure, with the change's origin, and the line that the erasure's digest is made over."""

    row: Row
    origin: str | None
    line: str


def version(
    row: VersionRow, origin: str | None, drop: Iterable[str], scrub: Scrub, erasure: str, salt: bytes
) -> Touched | None:
    """The version without these personal values and with its other texts scrubbed; None where nothing has to go."""
    personal: dict[str, Any] = json.loads(row.personal) if row.personal is not None else {}
    gone = sorted(set(drop) & personal.keys())
    kept_origin, props = None if origin is None else clean(origin, scrub), scrubbed(row.props, scrub)
    if not gone and kept_origin == origin and props == row.props:
        return None
    held = json.loads(personal_commitments(row.personal, row.salts[SALT_BYTES:], row.erased))
    note = _note(row.erased)
    rest, first_salt = note.get("rest"), row.salts[:SALT_BYTES]
    if kept_origin != origin or props != row.props:
        rest = rest or commitment(first_salt, rest_text(origin, row.props))
        first_salt = salt
    names = sorted(personal)
    salts = {name: row.salts[SALT_BYTES * n : SALT_BYTES * (n + 1)] for n, name in enumerate(names, 1)}
    left = {name: personal[name] for name in names if name not in gone}
    commitments = {name: hexes for name, hexes in held.items() if name not in left}
    erased: dict[str, Any] = {**commitments, ERASURE: {"rest": rest}}
    digest = _digest(first_salt, place_of(row), [kept_origin, props, commitments])
    erased[ERASURE]["by"] = [*note.get("by", []), [erasure, digest]]
    left_salts = first_salt + b"".join(salts[name] for name in left)
    made = VersionRow(
        row.since, row.id, row.version, row.cls, row.until, row.closed, row.valid_from, row.valid_to,
        left_salts, props, canonical(left) if left else None, canonical(erased),
    )  # fmt: skip
    return Touched(made, kept_origin, line_of(made, digest))


def relation(row: RelationRow, scrub: Scrub, erasure: str, salt: bytes) -> Touched | None:
    """The relation with its texts scrubbed; None where nothing has to go."""
    props = scrubbed(row.props, scrub)
    if props == row.props:
        return None
    note = _note(row.erased)
    rest = note.get("rest") or commitment(row.salt, rest_text(None, row.props))
    made = replace(row, salt=salt, props=props, erased=canonical({"by": note.get("by", []), "rest": rest}))
    return _noted(made, None, erasure)


def cause(row: CauseRow, scrub: Scrub, erasure: str, salt: bytes, *, must: bool) -> Touched | None:
    """The cause with reason and attributes scrubbed; with `must` its salt goes in any case, since it covers the values written."""
    reason, attributes = clean(row.reason, scrub), scrubbed(row.attributes, scrub)
    if not must and reason == row.reason and attributes == row.attributes:
        return None
    note = _note(row.erased)
    text = cause_text(row.id, row.activity, row.agent, row.reason, row.on_behalf_of, row.inputs, row.attributes)
    sealed = note.get("cause") or commitment(row.salt, text)
    erased = canonical({"by": note.get("by", []), "cause": sealed})
    return _noted(replace(row, reason=reason, attributes=attributes, salt=salt, erased=erased), None, erasure)


def clean(text: str, scrub: Scrub) -> str:
    """The text without the values; JSON stays JSON."""
    if (cleaned := scrub(text)) is None:
        return text
    if text[:1] not in ("{", "["):
        return cleaned
    try:
        form = json.loads(text)
        return json.dumps(walk(form, scrub), separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return cleaned


def scrubbed(props: str, scrub: Scrub) -> str:
    """Property texts without the values. A number, a date or an amount that repeats one goes whole: half of it is no value."""
    if scrub(props) is None:
        return props
    kept: dict[str, Json] = {}
    for name, form in json.loads(props).items():
        items = form if isinstance(form, list) else [form]
        left = [clean(item, scrub) if isinstance(item, str) else item for item in items if not _goes(item, scrub)]
        if left or not items:
            kept[name] = left if isinstance(form, list) else left[0]
    return canonical(kept)


def _goes(form: Any, scrub: Scrub) -> bool:
    return not isinstance(form, str | bool) and form is not None and scrub(canonical(form)) is not None


def walk(form: Any, scrub: Scrub) -> Any:
    """A JSON form with the values erased wherever they stand: texts, numbers, names, and texts that are JSON themselves."""
    if isinstance(form, str):
        return clean(form, scrub)
    if isinstance(form, int | float) and not isinstance(form, bool):
        return form if scrub(str(form)) is None else ERASED
    if isinstance(form, list):
        made: Any = [walk(item, scrub) for item in form]
    elif isinstance(form, dict):
        made = {clean(name, scrub): walk(item, scrub) for name, item in form.items()}
    else:
        return form
    # A value whose words stand in neighbouring texts goes with them.
    return made if scrub(json.dumps(made, ensure_ascii=False)) is None else _blank(made)


def _blank(form: Any) -> Any:
    if isinstance(form, list):
        return [_blank(item) for item in form]
    if isinstance(form, dict):
        return {f"{ERASED} {n}": _blank(item) for n, item in enumerate(form.values(), 1)}
    return ERASED if isinstance(form, str) else form


def _note(erased: str | None) -> dict[str, Any]:
    if erased is None:
        return {}
    note: dict[str, Any] = json.loads(erased)
    found: dict[str, Any] = note.get(ERASURE, note)
    return found


def _noted(row: Row, origin: str | None, erasure: str) -> Touched:
    digest = digest_of(row, origin)
    form = json.loads(row.erased or "{}")
    note = form.get(ERASURE, form)
    note["by"] = [*note["by"], [erasure, digest]]
    return Touched(replace(row, erased=canonical(form)), origin, line_of(row, digest))


def place_of(row: Row) -> str:
    """The name of a row in an erasure's digest."""
    if isinstance(row, CauseRow):
        return f"cause {row.number}"
    return f"version {row.since}" if isinstance(row, VersionRow) else f"relation {row.since}"


def line_of(row: Row, digest: str) -> str:
    """One line of what an erasure's digest is made over."""
    return f"{place_of(row)} {digest}\n"


def digest_of(row: Row, origin: str | None) -> str:
    """The salted digest of what an erasure left of a row that the leaf can no longer prove."""
    form: Any
    if isinstance(row, CauseRow):
        form = [row.id, row.activity, row.agent, row.reason, row.on_behalf_of, row.inputs, row.attributes]
        salt = row.salt
    elif isinstance(row, VersionRow):
        held = {name: hexes for name, hexes in json.loads(row.erased or "{}").items() if name != ERASURE}
        form, salt = [origin, row.props, held], row.salts[:SALT_BYTES]
    else:
        form, salt = [row.props], row.salt
    return _digest(salt, place_of(row), form)


def _digest(salt: bytes, place: str, form: Any) -> str:
    return commitment(salt, canonical([place, form]))


class Notes:
    """Checks while a ledger is read in order that every erased row was erased by a record of the ledger."""

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}
        self._first: dict[str, int] = {}
        self._said: dict[str, str] = {}

    def take(self, row: Row, origin: str | None, position: int) -> None:
        """Note an erased row; ValueError where what is left is not what its last erasure left."""
        note = _note(row.erased)
        by = note["by"]
        if not by or any(len(entry) != 2 for entry in by):
            raise ValueError("erased by nobody")
        # A version whose rest is still proven by its leaf keeps its salt: what was left then is what is there now.
        if by[-1][1] != digest_of(row, origin):
            raise ValueError("what an erasure left was altered")
        for erasure, digest in by:
            self._digests.setdefault(erasure, hashlib.sha256()).update(line_of(row, digest).encode())
            self._first.setdefault(erasure, position)

    def said(self, row: VersionRow) -> None:
        """Note what an Erasure entity says of its rows."""
        if row.cls == CLASS and row.version == 1:
            found = json.loads(row.props).get(DIGEST)
            if isinstance(found, str):
                self._said[row.id] = found

    def wrong(self) -> int | None:
        """The first position whose row was erased by an erasure that is not on record so; None where all are."""
        wrong = [
            self._first[erasure]
            for erasure, digest in self._digests.items()
            if self._said.get(erasure) != digest.hexdigest()
        ]
        none = hashlib.sha256().hexdigest()
        missing = [id for id, said in self._said.items() if id not in self._digests and said != none]
        return min(wrong) if wrong else 1 if missing else None


def digest_over(lines: Iterable[str]) -> str:
    """The digest that an Erasure entity holds, over the lines in the order of the ledger."""
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode())
    return found.hexdigest()
