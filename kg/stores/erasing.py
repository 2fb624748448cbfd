"""Finds what an erasure has to touch, from rows that a store reads in order, and says what becomes of each. Pure.

Invariant I14: a row is about the person where the person's entity made it an input, directly or through others (lineage), where
a relation joins the two, or where it names the person's id; there every value is looked for, elsewhere the telling ones. What
is found and may not go (a hold, retention, a class that is never touched) is said, never silently left.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kg.evidence import Forgetting, Forgotten, Revised
from kg.leaf import SALT_BYTES
from kg.needles import Needles
from kg.payloads import KIND as PAYLOAD
from kg.payloads import digest_of
from kg.stores import redaction
from kg.stores.redaction import Touched, digest_over
from kg.stores.rows import CauseRow, RelationRow, StateRow, VersionRow
from kg.values import canonical, decode

#: Places named in the certificate where something stays; more are counted.
STAYED_MAX: Final = 1_000
REJECT: Final = "reject"
#: Ends the name of every property that names a payload.
_NAMED: Final = 'Digest":"'
_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class Stored:
    """A version or a relation with the number of its cause, the time of its commit, and the origin of its change."""

    row: Any
    cause: int
    at: str
    origin: str | None = None


@dataclass(slots=True)
class Erasing:
    """One erasure being planned; feed it in the order of the methods, then `finish`."""

    forgetting: Forgetting
    entropy: Callable[[int], bytes]
    versions: list[Touched] = field(default_factory=list)
    before: list[VersionRow] = field(default_factory=list)
    relations: list[Touched] = field(default_factory=list)
    causes: list[Touched] = field(default_factory=list)
    states: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _needles: Needles = field(default_factory=lambda: Needles(()))
    _inputs: Mapping[int, Sequence[str]] = field(default_factory=dict)
    _about: set[str] = field(default_factory=set)
    _waiting: list[tuple[Stored, bool]] = field(default_factory=list)
    _writers: set[int] = field(default_factory=set)
    _derived: dict[int, bool] = field(default_factory=dict)
    _lines: dict[tuple[int, int], str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _stayed: dict[str, str] = field(default_factory=dict)
    _promised: dict[str, str] = field(default_factory=dict)

    def subjects(self, rows: Iterable[VersionRow], inputs: Mapping[int, Sequence[str]]) -> None:
        """Take the person's own versions, and which entities each cause used."""
        self._inputs = inputs
        self._about = set(self.forgetting.subjects)
        self._needles = Needles(_texts(rows))

    def neighbours(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take the two ends of every relation, past ones too."""
        subjects = self.forgetting.subjects
        for source, target in pairs:
            if source in subjects:
                self._about.add(target)
            elif target in subjects:
                self._about.add(source)

    def version(self, stored: Stored) -> None:
        """Plan a version; all come in the order of the ledger. One that names a payload waits for `payloads`."""
        row: VersionRow = stored.row
        subjects = self.forgetting.subjects
        near = self._derives(stored.cause) or row.id in self._about or any(id in row.props for id in subjects)
        if near:
            self._about.add(row.id)
        if (reason := self._reason(row.cls, row.id, stored.at)) is not None:
            self._promised.update(dict.fromkeys(_DIGEST.findall(row.props), reason))
        if _NAMED in row.props:
            self._waiting.append((stored, near))
        else:
            self._version(stored, near)

    def payloads(self, rows: Iterable[StateRow]) -> None:
        """Plan payloads, then the versions that waited: what loses a value has another digest, by which facts then name it."""
        for row in rows:
            owner, _, digest = row.key.rpartition("/")
            near = owner in self._about or any(id in row.value for id in self.forgetting.subjects)
            form = json.loads(row.value)
            text = redaction.clean(form["text"], self._scrub(near))
            if text == form["text"]:
                continue
            # INVARIANT I14: a version that stays keeps what its digest promises; under a new digest it would be evidence altered.
            reason = self.forgetting.held.get(owner) or self._promised.get(digest)
            if reason is not None:
                self._stay(f"{PAYLOAD} {row.key}", reason)
            else:
                made = digest_of(text)
                self._needles.swap(digest, made)
                self.states[row.kind, row.key] = None
                self.states[row.kind, f"{owner}/{made}"] = canonical({**form, "text": text})
                self._count(f"state {row.kind}")
        for stored, near in self._waiting:
            self._version(stored, near)

    def follow(self, rows: Iterable[Stored]) -> None:
        """Take the versions by which the touched entities have just changed in the open."""
        ends = {
            one.row.id: one.row for one in self.versions if isinstance(one.row, VersionRow) and one.row.until is None
        }
        for stored in rows:
            if stored.row.id in ends:
                ends[stored.row.id].until = stored.row.since
            self._version(stored, near=stored.row.id in self._about)

    def _version(self, stored: Stored, near: bool) -> None:
        row: VersionRow = stored.row
        subject = row.id in self.forgetting.subjects
        drop = json.loads(row.personal).keys() if subject and row.personal else self._repeating(row, near)
        if not subject and not drop and not self._hit(row.props, near) and not self._hit(stored.origin or "", near):
            return
        if self._spared(row.cls, row.id, stored.at):
            return
        touched = redaction.version(
            row, stored.origin, drop, self._scrub(near), self.forgetting.erasure, self.entropy(SALT_BYTES)
        )
        if touched is not None:
            self.versions.append(touched)
            self.before.append(row)
            self._note(stored.cause, row.since, touched, row.cls)
            self._writers.add(stored.cause)

    def revised(self) -> list[Revised]:
        """The current entities that are touched so far, and how each will read."""
        found = []
        for touched, before in zip(self.versions, self.before, strict=True):
            row = touched.row
            if not isinstance(row, VersionRow) or row.until is not None or row.closed:
                continue
            old, new = json.loads(before.props), json.loads(row.props)
            changed = {name: decode(new[name]) if name in new else None for name in old if old[name] != new.get(name)}
            gone = frozenset(json.loads(before.personal or "{}").keys() - json.loads(row.personal or "{}").keys())
            found.append(Revised(row.id, row.cls, row.id in self.forgetting.subjects, gone, changed))
        return found

    def relation(self, stored: Stored) -> None:
        """Plan a relation."""
        row: RelationRow = stored.row
        near = bool({row.source, row.target} & self._about)
        if row.props == "{}" or not self._hit(row.props, near):
            return
        touched = redaction.relation(row, self._scrub(near), self.forgetting.erasure, self.entropy(SALT_BYTES))
        if touched is not None:
            self.relations.append(touched)
            self._note(stored.cause, row.since, touched, "relation")
            self._writers.add(stored.cause)

    def cause(self, row: CauseRow) -> None:
        """Plan a cause; the salt of one that wrote what goes has to go, since its commitment covers the values."""
        must = row.number in self._writers
        near = must or self._derives(row.number)
        if not must and not self._hit(row.reason, near) and not self._hit(row.attributes, near):
            return
        scrub = self._scrub(near)
        touched = redaction.cause(row, scrub, self.forgetting.erasure, self.entropy(SALT_BYTES), must=must)
        if touched is not None:
            self.causes.append(touched)
            self._note(row.number, 0, touched, "cause")

    def state(self, row: StateRow) -> None:
        """Plan a machine row: a reject or a row named by a value goes, others lose the value."""
        if row.kind == PAYLOAD:
            return
        about = any(id in row.value or id in row.key for id in self.forgetting.subjects)
        wide = not about
        rejected = row.kind == REJECT and (self._needles.telling(row.value) or self._needles.met(row.value) > 1)
        if rejected or self._needles.scrub(row.key, wide=wide) is not None:
            self.states[row.kind, row.key] = None
        else:
            scrub = self._scrub(about)
            if scrub(row.value) is None:
                return
            form = json.loads(row.value)
            # Numbers that stand directly in a row are the machine's own: positions, times, counts.
            fields = form.items() if isinstance(form, dict) else ()
            kept = {name: value if isinstance(value, int) else redaction.walk(value, scrub) for name, value in fields}
            self.states[row.kind, row.key] = canonical(kept if fields else redaction.walk(form, scrub))
        self._count(f"state {row.kind}")

    def finish(self) -> Forgotten:
        """What was planned, with the digest over its lines in the order of the ledger."""
        lines = [self._lines[key] for key in sorted(self._lines)]
        touched = tuple(dict.fromkeys(one.row.id for one in self.versions if isinstance(one.row, VersionRow)))
        return Forgotten(
            touched, dict(sorted(self._counts.items())), self._stayed, digest_over(lines), len(self._needles)
        )

    def _derives(self, cause: int) -> bool:
        """Whether a cause used what is about the person; asked in the order of the ledger, so inputs are known by then."""
        if cause not in self._derived:
            self._derived[cause] = not self._about.isdisjoint(self._inputs.get(cause, ()))
        return self._derived[cause]

    def _repeating(self, row: VersionRow, near: bool) -> list[str]:
        """Personal properties of another entity that repeat a value of the person."""
        if row.personal is None or not self._hit(row.personal, near):
            return []
        return [n for n, value in json.loads(row.personal).items() if self._hit(canonical(value), near)]

    def _hit(self, text: str, near: bool) -> bool:
        return bool(text) and self._needles.scrub(text, wide=not near) is not None

    def _scrub(self, near: bool) -> redaction.Scrub:
        return lambda text: self._needles.scrub(text, wide=not near)

    def _spared(self, cls: str, id: str, at: str) -> bool:
        reason = self._reason(cls, id, at)
        if reason is not None:
            self._stay(f"{cls} {id}", reason)
        return reason is not None

    def _reason(self, cls: str, id: str, at: str) -> str | None:
        """Why a version is not altered; None where it may be."""
        reason = self.forgetting.held.get(id)
        if reason is None and cls in self.forgetting.kept:
            reason = f"a {cls} is never altered; change it yourself if it names the person"
        if reason is None and at > self.forgetting.retained.get(cls, at):
            reason = f"retention of {cls}"
        return reason

    def _stay(self, what: str, reason: str) -> None:
        if len(self._stayed) < STAYED_MAX:
            self._stayed[what] = reason

    def _note(self, cause: int, position: int, touched: Touched, what: str) -> None:
        self._lines[cause, position] = touched.line
        self._count(what)

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1


def _texts(rows: Iterable[VersionRow]) -> Iterable[str]:
    for row in rows:
        for value in json.loads(row.personal).values() if row.personal else ():
            yield from _strings(value)


def _strings(form: Any) -> Iterable[str]:
    if isinstance(form, str):
        yield form
    elif isinstance(form, list | dict) and "currency" not in form:
        for item in form.values() if isinstance(form, dict) else form:
            yield from _strings(item)
    elif isinstance(form, int) and not isinstance(form, bool):
        yield str(form)
