"""Webhook: an effect as one signed HTTP POST. The payload names `url` and `body`; the key travels as Idempotency-Key.

Invariant: whoever shares the secret can tell that a call is ours and unchanged, and by the key that it came before. Signed by the
Standard Webhooks scheme: webhook-id, webhook-timestamp, webhook-signature ``v1,base64(hmac-sha256(id.time.body))``.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from coordination.effectors.addresses import Resolve, resolve
from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.effectors.http_call import REQUEST_MAX, Reach, Response, Target, send, target_of
from coordination.errors import EffectorError, GiveUp
from kg.clock import Clock
from kg.values import canonical

#: Characters of the answer that go into the receipt.
EXCERPT_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`secret` signs; `allowed` lists hosts and networks that may be private or plain HTTP; `deadline_seconds` bounds one try."""

    secret: bytes
    allowed: tuple[str, ...] = ()
    deadline_seconds: float = 10.0
    connect_seconds: float = 5.0
    honours_key: bool = True


@dataclass(frozen=True, slots=True)
class Webhook:
    """Effector of kind ``webhook``."""

    settings: WebhookSettings
    clock: Clock
    resolving: Resolve = resolve
    kind: str = field(default="webhook", init=False)
    can_look_up: bool = field(default=False, init=False)

    @property
    def idempotent(self) -> bool:
        """As the settings say of the targets."""
        return self.settings.honours_key

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: a webhook's target cannot be asked."""
        raise EffectorError(f"a webhook cannot be asked whether effect {effect.id} happened; repeat it with its key")

    def act(self, effect: Effect) -> Receipt:
        """Send the effect once; RetryLater, GiveUp or EffectorError as the port says."""
        target, body = self._request(effect)
        settings = self.settings
        reach = Reach(settings.allowed, settings.deadline_seconds, settings.connect_seconds)
        return _receipt(send("POST", target, self._headers(effect, body), body, reach, self.resolving))

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """As the payload declares."""
        return undo_of(self.kind, effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        """What would be sent where."""
        target, body = self._request(effect)
        return Receipt("", {"would": {"method": "POST", "host": target.authority, "bytes": len(body)}})

    def _request(self, effect: Effect) -> tuple[Target, bytes]:
        target = target_of(effect.payload.get("url"), self.settings.allowed, "webhook")
        body = canonical(effect.payload.get("body", {})).encode()
        if len(body) > REQUEST_MAX:
            raise GiveUp(f"the body of {effect.operation} has {len(body):,} bytes; keep to {REQUEST_MAX:,}")
        return target, body

    def _headers(self, effect: Effect, body: bytes) -> dict[str, str]:
        moment = str(int(self.clock.now().timestamp()))
        return {
            "content-type": "application/json",
            "user-agent": "noesis-webhook/1",
            "idempotency-key": effect.key,
            "webhook-id": effect.key,
            "webhook-timestamp": moment,
            "webhook-signature": sign(self.settings.secret, effect.key, moment, body),
        }


def sign(secret: bytes, id: str, moment: str, body: bytes) -> str:
    """The value of webhook-signature for a body (Standard Webhooks 1.0, symmetric)."""
    digest = hmac.new(secret, f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _receipt(response: Response) -> Receipt:
    text = response.body[:EXCERPT_MAX].decode(errors="replace").replace("\x00", "")
    location = response.headers.get("location", "")[:EXCERPT_MAX]
    return Receipt(location, {"status": response.status, "answer": text[:EXCERPT_MAX]})
