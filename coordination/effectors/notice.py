"""Notices: an effect that tells one person, by e-mail or webhook, that a decision waits for them or that glass was broken.

The payload names `person` and `decision` or `breakGlass`, nothing else: address, words and link are ours, so whoever may propose a
notice cannot send anything else, or elsewhere. Invariants: only what the person may see is told, and nothing of a proposal that
repeats labelled values; the link is made as it leaves and stands in no fact and no receipt; no proposer gets one (I5).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from coordination.effectors.effector import Effect, Effector, Receipt, Undo
from coordination.errors import EffectorError, GiveUp
from coordination.telling import PATH, line, told
from governance import breakglass, links
from governance.errors import PrincipalError
from governance.links import Keys
from governance.principals import Principal, load_principal
from kg.clock import Clock
from kg.model import Entity
from kg.reader import Reader
from kg.store import GraphStore
from kg.values import Json
from kg.view import View

KIND: Final = "notice"
_MEMBERS: Final = frozenset({"person", "decision", "breakGlass"})


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """`url` is where people reach the API, `by` the effector that carries, `address` a webhook's; a link lasts `seconds`."""

    url: str
    keys: Keys
    by: Literal["smtp", "webhook"] = "smtp"
    address: str = ""
    seconds: int = 3_600


@dataclass(frozen=True, slots=True)
class Notice:
    """Effector of kind ``notice``, over one that sends."""

    settings: NoticeSettings
    carrier: Effector
    store: GraphStore
    clock: Clock
    views: Callable[[Principal], View]
    kind: str = field(default=KIND, init=False)
    can_look_up: bool = field(default=False, init=False)

    @property
    def idempotent(self) -> bool:
        """As what carries it."""
        return self.carrier.idempotent

    def act(self, effect: Effect) -> Receipt:
        """Tell the person; GiveUp where nothing is to be told any more, or not to this one."""
        sent = self.carrier.act(replace(effect, payload=self._payload(effect, secret=True)))
        return Receipt("", {"by": self.settings.by, "status": sent.detail.get("status", "")})

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: nobody can be asked whether a person was told."""
        raise EffectorError(f"nobody can be asked whether notice {effect.id} arrived; ask the person")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """Nothing: what was read cannot be called back."""
        del effect, receipt
        return None

    def simulate(self, effect: Effect) -> Receipt:
        """How it would be carried; no link is made."""
        payload = self._payload(effect, secret=False)
        return Receipt("", {"would": {"by": self.settings.by, "characters": len(str(payload.get("text", payload)))}})

    def _payload(self, effect: Effect, *, secret: bool) -> Mapping[str, Json]:
        given = effect.payload
        if not set(given) <= _MEMBERS or ("decision" in given) == ("breakGlass" in given):
            raise GiveUp(
                "a notice names `person` and either `decision` or `breakGlass`, nothing else; correct the payload"
            )
        try:
            person = load_principal(self.store, str(given.get("person")))
        except PrincipalError as error:
            raise GiveUp(str(error)) from None
        if person.kind != "User" or person.entity is None:
            raise GiveUp(f"{person.uid} is no person; a notice goes to one")
        if "decision" in given:
            subject, lines, link = self._asked(effect, str(given["decision"]), person, secret)
        else:
            subject, lines, link = *self._broken(str(given["breakGlass"]), person), ""
        if self.settings.by == "webhook":
            body: dict[str, Json] = {"person": person.uid, "subject": subject, "lines": list(lines), "link": link}
            return {"url": self.settings.address, "body": body}
        text = "\n".join([*lines, *(["", link] if link else [])]) + "\n"
        return {"to": {"entity": person.entity, "property": "email"}, "subject": subject, "text": text}

    def _asked(self, effect: Effect, id: str, person: Principal, secret: bool) -> tuple[str, list[str], str]:
        reader = Reader(self.store, self.views(person))
        decision = self._seen(reader, id, "Decision")
        end = decision.get("expires")
        if decision.get("outcome") != "needs_approval" or (isinstance(end, datetime) and end <= self.clock.now()):
            raise GiveUp(f"decision {id[:80]} waits for nobody; there is nothing to tell")
        held = decision.get("proposers", ())
        if person.identities() & frozenset(map(str, held if isinstance(held, tuple) else ())):
            raise GiveUp(f"{person.uid} stands behind what is proposed and does not approve it")
        link = f"{self.settings.url.rstrip('/')}{PATH}?token=" if secret else ""
        if secret:
            link += links.made(
                self.store, self.clock, self.settings.keys, decision, person, effect.key, self.settings.seconds
            )
        close = "Opening the link decides nothing. It is for you alone and works once; do not pass it on."
        return f"Approval: {line(decision.get('operation', 'a decision'))}", [*told(reader, decision), close], link

    def _broken(self, id: str, person: Principal) -> tuple[str, list[str]]:
        glass = self._seen(Reader(self.store, self.views(person)), id, breakglass.CLASS)
        lines = [
            f"{line(glass.get('holder', 'somebody'))} broke glass: {line(glass.get('reason', 'withheld'))}",
            f"From {line(glass.get('validFrom', ''))} until {line(glass.get('validTo', ''))}; somebody else reviews it.",
        ]
        return "Break-glass was opened", lines

    @staticmethod
    def _seen(reader: Reader, id: str, cls: str) -> Entity:
        found = reader.get([id]).get(id)
        if found is None or found.cls != cls:
            # INVARIANT I10: what the person may not see is not told, and not told to be there.
            raise GiveUp(f"there is no {cls} {id[:80]} that this person may see; there is nothing to tell")
        return found
