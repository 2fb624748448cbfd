"""Codes: an error says what the caller can do, and nothing of the inside."""

import sqlite3
import threading
from dataclasses import replace
from typing import Any

import pytest

from api.graphql.codes import ErrorCode, code_of
from api.platform import Noesis
from api.settings import Settings
from governance import errors as governance
from kg import errors as kg
from tests.api.client import Client

SECRET = "SELECT secret FROM /home/somebody"


class Failing:
    """A store whose reads fail in a way nobody expected."""

    def __init__(self, store: Any, error: Exception | None = None) -> None:
        self._store = store
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if name == "get" and self._error is not None:
            raise self._error
        return getattr(self._store, name)


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), sqlite3.OperationalError(SECRET), KeyError(SECRET), kg.StoreError(SECRET)]
)
def test_nothing_of_the_inside_leaves(platform: Noesis, error: Exception) -> None:
    client = Client(replace(platform, store=Failing(platform.store, error)))  # type: ignore[arg-type]
    answer = client.post('{ node(id: "customer0000") { id } }')
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text
    found = answer.json()["errors"][0]
    assert found["extensions"] == {"code": "INTERNAL"}
    assert "reference" in found["message"]


def test_a_busy_store_says_what_to_do_without_its_path(platform: Noesis) -> None:
    client = Client(replace(platform, store=Failing(platform.store, kg.StoreBusyError(SECRET))))  # type: ignore[arg-type]
    message = client.post('{ node(id: "x") { id } }').json()["errors"][0]["message"]
    assert message.startswith("The store is locked by another process; try again")
    assert SECRET not in message


@pytest.mark.parametrize("cls", ["Customer", "User"])
def test_a_request_has_a_time_for_reading_and_for_knowing_who_asks(platform: Noesis, cls: str) -> None:
    armed, entered, leave = threading.Event(), threading.Event(), threading.Event()

    class Slow(Failing):
        def find(self, asked: str, *args: Any, **kwargs: Any) -> Any:
            if asked == cls and armed.is_set():
                entered.set()
                leave.wait(20)
            return self._store.find(asked, *args, **kwargs)

    settings = Settings(request_seconds_max=1.0)
    slow = Slow(platform.store)
    client = Client(replace(platform, store=slow, settings=settings))  # type: ignore[arg-type]
    if cls == "Customer":
        # Who asks is known then, so that the time of the next request goes where the test wants it to.
        client.post("{ customers { nodes { name } } }")
    armed.set()
    answer = client.post("{ customers { nodes { name } } }").json()
    assert not leave.is_set()
    leave.set()
    assert entered.is_set()
    assert answer["errors"][0]["extensions"] == {"code": "TOO_COSTLY"}
    assert "too long" in answer["errors"][0]["message"]


def test_every_error_of_governance_has_a_code_that_is_not_internal() -> None:
    kinds = [kind for kind in vars(governance).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    special = {governance.GovernanceError, kg.NoesisError}
    for kind in kinds:
        if kind not in special and issubclass(kind, governance.GovernanceError):
            assert code_of(kind()) is not ErrorCode.INTERNAL, kind


def test_codes_of_the_core() -> None:
    assert code_of(kg.ConflictError()) is ErrorCode.CONFLICT
    assert code_of(kg.ShapeError()) is ErrorCode.BAD_INPUT
    assert code_of(governance.DeniedError()) is ErrorCode.FORBIDDEN
    assert code_of(governance.KeyRejectedError()) is ErrorCode.UNAUTHENTICATED
    assert code_of(governance.SelfApprovalError()) is ErrorCode.FORBIDDEN
    assert code_of(kg.StoreCorruptError()) is ErrorCode.INTERNAL
    assert code_of(ZeroDivisionError()) is ErrorCode.INTERNAL
