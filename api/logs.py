"""Logs: one event a line, as JSON or for a terminal, ours and those of libraries alike, on standard error.

Invariants: a value cannot forge a line, since control characters leave escaped; the values of secret settings and what looks
like an address, a telephone number or an IBAN are replaced; each line below a span names its cause, work and trace. Configured
once a process, by the command that runs long.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from agents.masking import mask_text
from api.listening import here
from api.settings import Settings
from kg import tracing

HIDDEN: Final = "***"
#: Characters of one value; longer ones are cut.
VALUE_MAX: Final = 4_000
#: Shorter secrets would blot out ordinary words.
SECRET_MIN: Final = 6
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MULTILINE: Final = frozenset({"stack", "exception"})
#: Libraries whose every message below this level is their own affair.
_QUIET: Final = {
    **dict.fromkeys(("httpx", "httpcore", "pika", "neo4j", "dramatiq"), logging.WARNING),
    "opentelemetry": logging.ERROR,
}
Event = MutableMapping[str, Any]


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Every secret text of these settings, and the password of an address that holds one."""
    values = [part for _, value in settings for part in (value.values() if isinstance(value, dict) else [value])]
    held = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    addresses = [*held, settings.store_url or "", settings.qdrant_url or "", settings.otlp_url or ""]
    held += [password for address in addresses if (password := _password(address))]
    return tuple(sorted({secret for secret in held if len(secret) >= SECRET_MIN}, key=len, reverse=True))


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


def escaped(text: str) -> str:
    """The text on one line: control characters as their escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def cleaner(secrets: Sequence[str], lines: bool) -> Callable[[Any, str, Event], Event]:
    """A processor that cleans every text of an event; with `lines` a stack keeps its lines, indented, so none forges one."""

    def text(value: str, whole: bool = False) -> str:
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        value = mask_text(value)[:VALUE_MAX]
        return "\n".join(f"    {escaped(line)}" for line in value.splitlines()) if whole else escaped(value)

    def clean(value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {escaped(str(key)): clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        return text(str(value))

    def process(_logger: Any, _method: str, event: Event) -> Event:
        return {
            escaped(key): text(str(value), True) if lines and key in _MULTILINE else clean(value)
            for key, value in event.items()
        }

    return process


def _placed(_logger: Any, _method: str, event: Event) -> Event:
    """The event with what was under way: cause, work, agent and trace."""
    for name, value in here().items():
        event.setdefault(name, value)
    trace = tracing.carried()
    if trace:
        event.setdefault("trace", trace.split("-")[1])
    return event


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every event of this process to `stream`, standard error by default."""
    out = stream or sys.stderr
    console = settings.log_format == "console" or (settings.log_format == "auto" and out.isatty())
    level = getattr(logging, settings.log_level.upper())
    before: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _placed,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    last: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        cleaner(secrets_of(settings), console),
        _Console() if console else structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before], processors=last
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class _Console:
    """An event for people: time, level, what happened, then its fields."""

    def __call__(self, _logger: Any, _method: str, event: Event) -> str:
        """One line; a stack follows below it, indented."""
        stack = "".join(f"\n{event.pop(name)}" for name in sorted(_MULTILINE) if name in event)
        at, level, what = event.pop("timestamp", ""), event.pop("level", ""), event.pop("event", "")
        fields = " ".join(f"{name}={value!r}" for name, value in event.items())
        return f"{at} {level:<8}{what}{'  ' if fields else ''}{fields}{stack}"
