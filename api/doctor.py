"""The doctor: looks at every part of an installation and at every setting, and says in one sentence each what is the matter.

Invariant: one part that is missing, slow or broken spoils no other's check; a secret shows as ***, also inside an address. Mends
nothing.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from api.bootstrap import DATABASE, build, examine_store, make_embedder
from api.logs import HIDDEN, secrets_of
from api.platform import Noesis
from api.settings import Settings, is_secret
from coordination.brokerstate import ask
from kg.errors import NoesisError
from kg.indexer import standing

#: Bytes that the home's disk should have free.
FREE_MIN: Final = 1_000_000_000
#: How far ahead of this machine's clock the newest change may be.
AHEAD_MAX: Final = timedelta(seconds=5)
#: Seconds that a server gets to answer.
SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One look: its name, whether all is well, and what was found."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as it may be shown, and where its value comes from."""

    name: str
    value: Any
    source: str


def shown(settings: Settings, origins: dict[str, str]) -> list[Shown]:
    """Every setting in order, secrets as ***."""
    return [Shown(name, _value(settings, name, value), origins[name]) for name, value in settings]


def _value(settings: Settings, name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {key: HIDDEN if isinstance(part, SecretStr) else part for key, part in value.items()}
    if is_secret(name) or isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, tuple):
        return [item if isinstance(item, str) else item.model_dump() for item in value]
    text = str(value)
    for secret in secrets_of(settings):
        text = text.replace(secret, HIDDEN)
    return text


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which they are read."""
    checks = [Check("noesis", True, version("noesis")), Check("python", True, sys.version.split()[0])]
    home = settings.home_path
    there = settings.store_url is not None or (home / DATABASE).exists()
    checks.append(Check("home", there, str(home) if there else f"{home} holds no graph yet; run `noesis init`"))
    checks.append(_disk(settings))
    checks += _guarded("graph server", lambda: [Check(f.name, f.ok, f.detail) for f in examine_store(settings)])
    if there:
        checks += _guarded("graph", lambda: list(_graph(settings)))
    checks += _guarded("broker", lambda: [_broker(settings)])
    checks.append(Check("language model", True, settings.llm_model or "none (not needed)"))
    return checks


def _guarded(name: str, look: Any) -> list[Check]:
    try:
        found: list[Check] = look()
    except NoesisError as error:
        return [Check(name, False, str(error))]
    return found


def _disk(settings: Settings) -> Check:
    place = settings.home_path
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:,.1f} GB free at {place}"
    return Check("disk", free >= FREE_MIN, said if free >= FREE_MIN else f"{said}; make room, 1 GB is too little")


def _graph(settings: Settings) -> Iterator[Check]:
    platform = build(settings, index=True, acting=True)
    try:
        head = platform.store.head()
        yield Check("graph", True, f"{head.position:,} changes, last {head.at or 'never'}")
        ahead = head.at - platform.clock.now() if head.at is not None else timedelta()
        said = f"this machine's clock says {platform.clock.now():%Y-%m-%d %H:%M:%S} UTC"
        late = f"{said}, {ahead} before the newest change; set it right, or commits keep that time"
        yield Check("time", ahead <= AHEAD_MAX, said if ahead <= AHEAD_MAX else late)
        yield Check("ontology", True, f"{len(platform.ontology.classes)} classes")
        yield Check("rules", True, f"in force since position {platform.rules().position:,}")
        yield Check("agents", True, ", ".join(platform.acting.agents()) or "none")
        failed = platform.runtime.failures(first=10)
        yield Check("work", not failed, f"{failed[0].id}: {failed[0].reason}" if failed else "nothing put aside")
        yield from _guarded("embedding model", lambda: [_model(settings)])
        yield from _guarded("index", lambda: [Check("index", True, platform.index.engine())])
        yield from _guarded("index state", lambda: [_indexed(platform)])
    finally:
        platform.close()


def _model(settings: Settings) -> Check:
    embedder = make_embedder(settings)
    return Check("embedding model", True, f"{embedder.model} ({embedder.revision[:19]})")


def _indexed(platform: Noesis) -> Check:
    found = standing(platform.store, platform.ontology, platform.index.info())
    if not found.filled:
        return Check("index state", True, f"being filled, {found.behind:,} changes to go; a running process fills it")
    return Check("index state", True, f"{found.behind:,} changes behind")


def _broker(settings: Settings) -> Check:
    if settings.broker_url is None:
        return Check("broker", True, "threads of each process")
    url = settings.broker_url.get_secret_value()
    found = ask(url, SECONDS)
    parts = urlsplit(url)
    return Check("broker", True, f"{found.product} {found.version} at {parts.hostname}".replace("  ", " "))
