"""Links: signed tokens in notices by which one person answers one decision, once, within a short time.

Invariants: a token is bound to the decision and the proposal in the versions that were told and to the person; it is used up in the
commit of the answer, which is a governed decision of that person like any other; looking at it changes nothing. By the later of
clock and last commit it ends. It gives no session, no roles and no break-glass. No token is stored, only digests of used ones.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from governance.approvals import Answer, Answered, approve
from governance.breakglass import moment
from governance.errors import LinkError, PrincipalError
from governance.principals import Principal, load_principal
from governance.rulebook import RuleBook
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Direction, Entity, StateWrite
from kg.store import PAGE_MAX, GraphStore
from kg.values import canonical

#: Kind of the state rows that say which tokens were used, until they would have ended anyway.
USED: Final = "approval-link"
FORMAT: Final = "n1"
#: Bytes that a key has at least, characters that a token has at most, and minutes that a link may last.
KEY_MIN: Final = 32
TOKEN_MAX: Final = 2_000
MINUTES_MAX: Final = 1_440
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_FIELDS: Final = {
    "decision": str,
    "version": int,
    "proposal": str,
    "at": int,
    "person": str,
    "expires": int,
    "nonce": str,
}


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of links by name; the first signs, all of them verify, so that one takes over from another."""

    named: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        for name, key in self.named.items():
            if not _NAME.match(name) or len(key) < KEY_MIN:
                raise LinkError(
                    f"the link key {name[:64]!r} needs a name of letters, digits, - and _, and {KEY_MIN} bytes at least"
                )
        if not self.named:
            raise LinkError("links need a key; name a secret of 32 random bytes")


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says. `proposal` and its version `at` are empty and 0 where a workflow asks; `expires` is in Unix seconds."""

    decision: str
    version: int
    proposal: str
    at: int
    person: str
    expires: int
    nonce: str

    def text(self) -> str:
        """The canonical text, which is signed."""
        return canonical({name: getattr(self, name) for name in _FIELDS})

    @property
    def digest(self) -> str:
        """What stands for the link among those used, however its token was written."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def sign(keys: Keys, link: Link) -> str:
    """The token of a link."""
    name, key = next(iter(keys.named.items()))
    text = f"{FORMAT}.{name}.{_encoded(link.text().encode())}"
    return f"{text}.{_encoded(_mac(key, text))}"


def read(keys: Keys, token: str, now: datetime) -> Link:
    """The link of a token that one of our keys signed and that has not ended; LinkError otherwise."""
    text, _, mac = token.rpartition(".") if len(token) <= TOKEN_MAX and token.isascii() else ("", "", "")
    parts = text.split(".")
    key = keys.named.get(parts[1]) if len(parts) == 3 and parts[0] == FORMAT else None
    # Compared in any case, so that the time does not tell which keys there are.
    good = hmac.compare_digest(_mac(key or bytes(KEY_MIN), text), _decoded(mac))
    if key is None or not good:
        raise LinkError
    try:
        form = json.loads(_decoded(parts[2]))
        link = Link(**{name: form[name] for name in _FIELDS})
    except (ValueError, KeyError, TypeError):
        raise LinkError from None
    if any(type(getattr(link, name)) is not kind for name, kind in _FIELDS.items()):
        raise LinkError
    if link.expires <= now.timestamp():
        raise LinkError("this link has ended; answer in the inbox, or wait for another notice")
    return link


def asked(store: GraphStore, clock: Clock, keys: Keys, token: str) -> tuple[Link, Entity, Principal]:
    """What a token asks, of whom, as it is now; LinkError where it was used, or is about something that changed since."""
    link = read(keys, token, moment(store, clock))
    if store.state(USED, [link.digest]):
        raise LinkError("this link was used already; see the inbox for what became of it")
    there = store.get([link.decision, *([link.proposal] if link.proposal else ())])
    decision = there.get(link.decision)
    if decision is None or decision.version != link.version or decision.get("outcome") != "needs_approval":
        raise LinkError(CHANGED)
    if link.proposal and (link.proposal not in there or there[link.proposal].version != link.at):
        raise LinkError(CHANGED)
    try:
        person = load_principal(store, link.person)
    except PrincipalError:
        raise LinkError from None
    return link, decision, person


CHANGED: Final = "what this link asks about has changed since it was sent; look in the inbox"


def answer(
    store: GraphStore, clock: Clock, rules: RuleBook, keys: Keys, token: str, verdict: Answer, comment: str = ""
) -> Answered:
    """Commit the person's answer and use the token up; refusals are those of `approve`, and LinkError."""
    link, _, person = asked(store, clock, keys, token)
    used = StateWrite(USED, link.digest, {"by": link.person}, expect=ABSENT, due=link.expires * 1_000_000)
    expects = {link.proposal: link.at} if link.proposal else {}
    try:
        return approve(store, clock, rules, link.decision, person, verdict, comment, expects=expects, state=[used])
    except ConflictError as error:
        if link.digest in error.found:
            raise LinkError("this link was used already; see the inbox for what became of it") from None
        raise LinkError(CHANGED) from None


def made(
    store: GraphStore, clock: Clock, keys: Keys, decision: Entity, person: Principal, nonce: str, seconds: int
) -> str:
    """A token for a person to answer a decision; it ends when the time to answer does, if that is sooner."""
    edges = store.expand([decision.id], "decidedBy", Direction.IN, first=1)[decision.id]
    proposal = edges[0].entity if edges else None
    end = int(moment(store, clock).timestamp()) + min(seconds, MINUTES_MAX * 60)
    limit = decision.get("expires")
    if isinstance(limit, datetime):
        end = min(end, int(limit.timestamp()))
    return sign(
        keys,
        Link(
            decision.id, decision.version, proposal.id if proposal is not None else "",
            proposal.version if proposal is not None else 0, person.uid, end, nonce,
        ),
    )  # fmt: skip


def sweep(store: GraphStore, clock: Clock) -> int:
    """Drop the rows of used tokens that have ended; how many."""
    now = int(moment(store, clock).timestamp() * 1_000_000)
    rows = store.scan(USED, due=now, first=PAGE_MAX)
    if rows:
        store.commit([], None, state=[StateWrite(USED, row.key, None, expect=row.revision) for row in rows])
    return len(rows)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, f"noesis approval link {text}".encode(), hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
