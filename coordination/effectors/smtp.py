"""E-mail: an effect as one message over SMTP. The payload names `to`, `subject` and `text`; its Message-ID follows from the key.

Invariants: SMTP honours no key, so a message is never sent again without a person's word: after a crash, or when the connection
ends while the text travels, it is in doubt. A receiver may be named as an entity's property, so that no address stands in a
proposal.
"""

import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.errors import EffectorError, GiveUp, RetryLater
from kg.values import Json

RECEIVERS_MAX: Final = 50
TEXT_MAX: Final = 500_000

#: The text of an entity's property, None where there is none: so that addresses stay in the entities that they belong to.
Lookup = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """`tls` is starttls, tls or none; `user` and `password` log in where given; `seconds` bounds each answer."""

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Smtp:
    """Effector of kind ``smtp``."""

    settings: SmtpSettings
    property_of: Lookup = lambda _id, _name: None
    kind: str = field(default="smtp", init=False)
    idempotent: bool = field(default=False, init=False)
    can_look_up: bool = field(default=False, init=False)

    def act(self, effect: Effect) -> Receipt:
        """Send the message once; the answer to its text decides whether it happened."""
        message = self._message(effect)
        client = self._connect()
        try:
            self._login(client)
            refused = self._hand_over(client, message)
        finally:
            client.close()
        return Receipt(str(message["Message-ID"]), {"refused": len(refused), "receivers": len(_receivers(message))})

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: a mail server cannot be asked."""
        raise EffectorError(f"a mail server cannot be asked whether effect {effect.id} happened; ask the receiver")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """As the payload declares: a message that was read cannot be called back, another one may correct it."""
        return undo_of(self.kind, effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        """How large the message would be and how many would get it."""
        message = self._message(effect)
        return Receipt("", {"would": {"receivers": len(_receivers(message)), "bytes": len(message.as_bytes())}})

    def _message(self, effect: Effect) -> EmailMessage:
        payload = effect.payload
        text = payload.get("text")
        if not isinstance(text, str) or len(text) > TEXT_MAX:
            raise GiveUp(f"an e-mail needs a text of at most {TEXT_MAX:,} characters; correct the payload")
        message = EmailMessage()
        try:
            message["Message-ID"] = f"<{effect.key}@{self.settings.sender.rpartition('@')[2] or 'localhost'}>"
            message["Date"] = format_datetime(effect.intended)
            message["From"] = self.settings.sender
            message["To"] = self._addresses(payload.get("to"))
            if payload.get("cc"):
                message["Cc"] = self._addresses(payload["cc"])
            message["Subject"] = str(payload.get("subject", ""))
            message.set_content(text)
        except (ValueError, MessageError, IndexError) as error:
            raise GiveUp(f"the message cannot be made: {error}") from error
        return message

    def _addresses(self, given: Json) -> tuple[Address, ...]:
        items = given if isinstance(given, list) else [given]
        if not items or len(items) > RECEIVERS_MAX:
            raise GiveUp(f"an e-mail goes to 1 to {RECEIVERS_MAX} receivers; correct the payload")
        return tuple(Address(addr_spec=self._address(item)) for item in items)

    def _address(self, item: Json) -> str:
        if isinstance(item, Mapping):
            id, name = str(item.get("entity", "")), str(item.get("property", "email"))
            found = self.property_of(id, name)
            if not found:
                raise GiveUp(f"{id[:80]!r} has no {name[:80]}; correct the receiver")
            return found
        return str(item or "")

    def _connect(self) -> smtplib.SMTP:
        settings = self.settings
        try:
            if settings.tls == "tls":
                context = ssl.create_default_context()
                return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.seconds, context=context)
            return smtplib.SMTP(settings.host, settings.port, timeout=settings.seconds)
        except (OSError, smtplib.SMTPException) as error:
            raise RetryLater(f"the mail server cannot be reached: {error}") from error

    def _login(self, client: smtplib.SMTP) -> None:
        settings = self.settings
        try:
            if settings.tls == "starttls":
                client.starttls(context=ssl.create_default_context())
            if settings.user:
                client.login(settings.user, settings.password)
        except smtplib.SMTPAuthenticationError as error:
            raise GiveUp("the mail server does not take user and password; correct the smtp settings") from error
        except (OSError, smtplib.SMTPException) as error:
            raise RetryLater(f"the mail server did not take the login: {error}") from error

    def _hand_over(self, client: smtplib.SMTP, message: EmailMessage) -> Mapping[str, object]:
        try:
            return client.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            if all(400 <= code < 500 for code in codes):
                raise RetryLater(f"no receiver is taken now ({codes[0]})") from error
            raise GiveUp(f"the mail server refuses every receiver ({codes[0]}); correct the addresses") from error
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError, smtplib.SMTPHeloError) as error:
            if 400 <= error.smtp_code < 500:
                raise RetryLater(f"the mail server does not take it now ({error.smtp_code})") from error
            raise GiveUp(f"the mail server refuses it ({error.smtp_code}); correct sender or text") from error
        except smtplib.SMTPNotSupportedError as error:
            raise GiveUp(f"the mail server cannot take such a message: {error}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise EffectorError(f"the mail server did not answer clearly: {error or type(error).__name__}") from error


def _receivers(message: EmailMessage) -> list[str]:
    return [str(address) for name in ("To", "Cc") for address in (message[name].addresses if message[name] else ())]
