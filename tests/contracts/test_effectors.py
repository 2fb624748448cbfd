"""The contract of port Effector that every kind has in common: it acts, rehearses, refuses and can be asked as it declares."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coordination.effectors.effector import Effect, Effector, Receipt, Undo
from coordination.effectors.file import File
from coordination.effectors.function import Function, Functions
from coordination.effectors.http import Http, HttpSettings
from coordination.effectors.http_call import Reach
from coordination.effectors.notice import Notice, NoticeSettings
from coordination.effectors.openapi import OpenApi
from coordination.effectors.process import Process
from coordination.effectors.smtp import Smtp, SmtpSettings
from coordination.effectors.sql import Database, Sql
from coordination.effectors.sql_sqlite import SqliteOutbox
from coordination.effectors.webhook import Webhook, WebhookSettings
from coordination.errors import EffectorError, GiveUp
from governance.links import Keys
from kg.model import Cause, Put
from tests.coordination.effectors.parts import effect, mailing
from tests.coordination.plant import ontology
from tests.coordination.server import serving
from tests.kg.views import RuleView
from tests.oracles.graph import DictStore
from tests.parts import ManualClock


@dataclass
class Target:
    """An effector, an effect that it can have, and how often its world saw one."""

    effector: Effector
    payload: Mapping[str, Any]
    seen: Callable[[], int]


@contextmanager
def webhook(_: Path) -> Iterator[Target]:
    with serving() as server:
        settings = WebhookSettings(b"secret", allowed=(server.host, "127.0.0.0/8"))
        yield Target(Webhook(settings, ManualClock()), {"url": server.url, "body": {"n": 1}}, lambda: len(server.got))


@contextmanager
def http(_: Path) -> Iterator[Target]:
    with serving() as server:
        made = Http(HttpSettings(Reach((server.host,), 2.0)))
        yield Target(made, {"url": server.url, "body": {"n": 1}}, lambda: len(server.got))


@contextmanager
def openapi(_: Path) -> Iterator[Target]:
    with serving() as server:
        document = {
            "openapi": "3.0.3",
            "servers": [{"url": f"http://{server.host}"}],
            "paths": {"/orders": {"post": {"operationId": "order", "responses": {"200": {"description": "done"}}}}},
        }
        made = OpenApi(HttpSettings(Reach((server.host,), 2.0)), {"shop": document})
        yield Target(made, {"document": "shop", "operation": "order"}, lambda: len(server.got))


@contextmanager
def file(folder: Path) -> Iterator[Target]:
    def seen() -> int:
        return sum(path.is_file() and ".noesis" not in path.parts for path in folder.rglob("*"))

    yield Target(File(folder), {"path": "a/b.txt", "text": "new"}, seen)


@contextmanager
def function(_: Path) -> Iterator[Target]:
    calls: list[str] = []
    made = Functions({"note": Function(lambda _, key: calls.append(key))})
    yield Target(made, {"function": "note", "arguments": {"n": 1}}, lambda: len(calls))


@contextmanager
def smtp(_: Path) -> Iterator[Target]:
    with mailing() as mail:
        made = Smtp(
            SmtpSettings("127.0.0.1", mail.port, "noesis@corp.example", tls="none", seconds=20), lambda *_: None
        )
        yield Target(made, {"to": "ops@example.com", "subject": "s", "text": "t"}, lambda: len(mail.taken))


@contextmanager
def sql(folder: Path) -> Iterator[Target]:
    path = folder / "erp.db"

    def ask(text: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return list(connection.execute(text))

    ask("CREATE TABLE invoice (id TEXT)")
    made = Sql({"erp": Database(SqliteOutbox(path, 5), {"post": ("INSERT INTO invoice VALUES (:id)",)})})
    payload = {"database": "erp", "statement": "post", "parameters": {"id": "1"}}
    yield Target(made, payload, lambda: len(ask("SELECT id FROM invoice")))


@contextmanager
def process(_: Path) -> Iterator[Target]:
    calls: list[str] = []

    class Counted(Process):
        def act(self, effect: Effect) -> Receipt:
            receipt = super().act(effect)
            calls.append(str(receipt.detail["stdout"]))
            return receipt

    yield Target(Counted(), {"run": "shell", "command": "echo once"}, lambda: len(calls))


@contextmanager
def notice(_: Path) -> Iterator[Target]:
    with mailing() as mail, closing(DictStore(ontology(), ManualClock())) as store:
        clock = ManualClock()
        store.commit(
            [
                Put("anna", "User", {"name": "anna", "email": "anna@example.org"}),
                Put("d1", "Decision", {"outcome": "needs_approval", "action": "apply", "principal": "x"}),
            ],
            Cause("c", "test", "t"),
        )

        def address(id: str, name: str) -> str | None:
            return str(store.get([id])[id][name])

        smtp = Smtp(SmtpSettings("127.0.0.1", mail.port, "noesis@corp.example", tls="none", seconds=20), address)
        settings = NoticeSettings("https://noesis.example", Keys({"k": b"1" * 32}))
        made = Notice(settings, smtp, store, clock, lambda _: RuleView())
        yield Target(made, {"person": 'User::"anna"', "decision": "d1"}, lambda: len(mail.taken))


@pytest.fixture(
    name="target",
    params=[webhook, http, openapi, file, function, smtp, sql, process, notice],
    ids=lambda made: made.__name__,
)
def _target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    with request.param(tmp_path) as target:
        yield target


def test_it_acts_and_says_so(target: Target) -> None:
    assert target.effector.kind
    assert target.seen() == 0
    assert isinstance(target.effector.act(effect(target.payload)), Receipt)
    assert target.seen() == 1


def test_its_twin_says_what_it_would_do_and_does_nothing(target: Target) -> None:
    said = target.effector.simulate(effect(target.payload))
    assert isinstance(said, Receipt)
    assert said.detail
    assert target.seen() == 0


def test_what_it_cannot_do_is_refused_before_anything_happens(target: Target) -> None:
    for call in (target.effector.act, target.effector.simulate):
        with pytest.raises(GiveUp):
            call(effect({}))
    assert target.seen() == 0


def test_it_is_asked_by_key_where_it_can_be(target: Target) -> None:
    asked = effect(target.payload)
    if not target.effector.can_look_up:
        with pytest.raises(EffectorError):
            target.effector.look_up(asked)
        return
    assert target.effector.look_up(asked) is None
    receipt = target.effector.act(asked)
    assert target.effector.look_up(asked) == receipt
    # Whoever remembers the key acts once with it.
    assert target.effector.act(asked) == receipt
    assert target.seen() == 1


def test_how_it_is_undone_is_another_effect_or_nothing(target: Target) -> None:
    done = effect(target.payload)
    undo = target.effector.compensation(done, target.effector.act(done))
    assert undo is None or (isinstance(undo, Undo) and undo.operation and undo.effector)
    assert target.seen() == 1
