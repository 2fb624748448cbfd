"""Effectors: bootstrap's part that makes the outside effectors which the settings describe.

Invariant: only what has a table, or a secret to sign with, is made; a secret reaches an effector by the name that its table gives.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from agents.loading import load_module
from api.effect_settings import NoticeTable, ProcessTable, SqlTable
from api.errors import SettingsError
from api.settings import Settings
from api.texts import read_text
from coordination.effectors.announcing import HttpSink
from coordination.effectors.confining import Bounds
from coordination.effectors.effector import Effector
from coordination.effectors.file import File
from coordination.effectors.function import Function, Functions
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.notice import Notice, NoticeSettings
from coordination.effectors.openapi import OpenApi
from coordination.effectors.process import Process, ProcessSettings
from coordination.effectors.secrets import Secret
from coordination.effectors.smtp import Smtp, SmtpSettings
from coordination.effectors.sql import Database, Sql
from coordination.effectors.sql_postgres import PostgresOutbox
from coordination.effectors.sql_sqlite import SqliteOutbox
from coordination.effectors.webhook import Webhook, WebhookSettings
from governance.links import Keys
from governance.principals import Principal
from kg.clock import Clock
from kg.store import GraphStore
from kg.view import View

#: Where programs are looked for: no process is steered by our own environment.
PROGRAMS = "/usr/local/bin:/usr/bin:/bin"


def make_effectors(
    settings: Settings, clock: Clock, store: GraphStore, views: Callable[[Principal], View] | None = None
) -> Sequence[Effector]:
    """The outside effectors of these settings: those that have a table, and webhooks where there is a secret to sign with."""
    tables, made = settings.effectors, list[Effector]()
    if settings.webhook_secret is not None:
        secret = settings.webhook_secret.get_secret_value().encode()
        made.append(Webhook(WebhookSettings(secret, settings.webhook_allow), clock))
    if tables.http is not None:
        reach = Reach(tables.http.allow, tables.http.deadline_seconds)
        named = {name: Secret(_secret(settings, name), frozenset(hosts)) for name, hosts in tables.http.secrets.items()}
        calls = HttpSettings(reach, tables.http.honours_key, named)
        made.append(Http(calls))
        made.append(OpenApi(calls, {name: _document(settings.path(file)) for name, file in tables.openapi.items()}))
    elif tables.openapi:
        raise SettingsError("effectors.openapi needs the table effectors.http, which says what calls may reach; add it")
    if tables.sql:
        made.append(Sql({name: _database(settings, name, table) for name, table in tables.sql.items()}))
    if tables.smtp is not None:
        mail = tables.smtp
        password = _secret(settings, mail.secret) if mail.secret else ""
        server = SmtpSettings(mail.host, mail.port, mail.sender, mail.tls, mail.user, password, mail.seconds)
        made.append(Smtp(server, _property(store)))
    if tables.file is not None:
        made.append(File(settings.path(tables.file.root).absolute()))
    if tables.python is not None:
        made.append(Functions(_functions(settings.path(tables.python.module))))
    if tables.process is not None:
        made.append(Process(_process(tables.process)))
    if tables.notice is not None and views is not None:
        made.append(_notice(settings, tables.notice, made, clock, store, views))
    return made


def _notice(
    settings: Settings, table: NoticeTable, made: Sequence[Effector], clock: Clock, store: GraphStore,
    views: Callable[[Principal], View],
) -> Notice:  # fmt: skip
    carrier = next((effector for effector in made if effector.kind == table.by), None)
    keys = link_keys(settings)
    if carrier is None or keys is None:
        wanted = "the table effectors.smtp" if table.by == "smtp" else "webhook_secret"
        raise SettingsError(f"effectors.notice goes by {table.by}, which is not set up; give {wanted}")
    if table.by == "webhook" and not table.address:
        raise SettingsError("effectors.notice goes by webhook and names no address; give effectors.notice.address")
    known = NoticeSettings(table.url, keys, table.by, table.address, table.minutes * 60)
    return Notice(known, carrier, store, clock, views)


def link_keys(settings: Settings) -> Keys | None:
    """The keys of links by the names of their secrets, None where notices are not set up."""
    table = settings.effectors.notice
    return Keys({name: _secret(settings, name).encode() for name in table.keys}) if table is not None else None


def make_sink(settings: Settings) -> HttpSink | None:
    """Who is told of the lifecycle of runs, where the settings name an address."""
    table = settings.workflows
    if not table.events:
        return None
    if not table.events.startswith(("https://", "http://")):
        raise SettingsError(f"workflows.events is no address ({table.events[:80]}); write https://host/path")
    return HttpSink(
        table.events, _secret(settings, table.events_secret) if table.events_secret else "", Reach(table.events_allow)
    )


def _process(table: ProcessTable) -> ProcessSettings:
    bounds = Bounds(
        table.seconds,
        table.memory_mb * 1_000_000,
        math.ceil(table.seconds),
        table.processes,
        table.folder_mb * 1_000_000,
    )
    node = table.node or shutil.which("node", path=PROGRAMS) or ""
    if table.node and not Path(table.node).is_file():
        raise SettingsError(f"effectors.process.node names {table.node}, which is not there; give the path of node")
    return ProcessSettings(bounds, table.unconfined, node)


def _secret(settings: Settings, name: str) -> str:
    found = settings.secrets.get(name)
    if found is None:
        raise SettingsError(f"the settings name a secret {name!r} that is not there; give it in NOESIS_SECRETS")
    return found.get_secret_value()


def _database(settings: Settings, name: str, table: SqlTable) -> Database:
    url = _secret(settings, table.secret) if table.secret else table.url
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        return Database(SqliteOutbox(settings.path(rest[1:]).absolute(), table.seconds), table.statements)
    if scheme in ("postgresql", "postgres"):
        return Database(PostgresOutbox(url, table.seconds), table.statements)
    raise SettingsError(f"effectors.sql.{name} has no usable address; write sqlite:///FILE or postgresql://HOST/NAME")


def _document(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(read_text(path, "effectors.openapi"))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is no YAML or JSON ({str(error).splitlines()[0]}); correct it") from None
    if not isinstance(found, Mapping) or not isinstance(found.get("paths"), Mapping):
        raise SettingsError(f"{path} describes no paths; name an OpenAPI document in effectors.openapi")
    return found


def _functions(path: Path) -> Mapping[str, Function]:
    found = getattr(load_module(path), "EFFECTS", None)
    if not isinstance(found, Mapping) or not all(isinstance(item, Function) for item in found.values()):
        raise SettingsError(f"{path} has no EFFECTS; define a mapping of names to Function under that name")
    return dict(found)


def _property(store: GraphStore) -> Callable[[str, str], str | None]:
    def find(id: str, name: str) -> str | None:
        entity = store.get([id]).get(id)
        value = entity.get(name) if entity is not None else None
        return value if isinstance(value, str) else None

    return find
