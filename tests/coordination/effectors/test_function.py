"""Python functions: only registered ones, each with its own word on repeating and undoing."""

from typing import Any

import pytest

from coordination.effectors.effector import Receipt, repeatable
from coordination.effectors.function import Function, Functions
from coordination.errors import GiveUp
from tests.coordination.effectors.parts import effect


def charge(arguments: Any, key: str) -> Any:
    return {"id": f"charge-{key}", "amount": arguments["amount"]}


FUNCTIONS = Functions(
    {"charge": Function(charge, True, "refund"), "refund": Function(lambda *_: None), "odd": Function(lambda *_: 1)}
)
CHARGE = {"function": "charge", "arguments": {"amount": 5}}


def test_it_calls_what_is_registered_with_arguments_and_key() -> None:
    assert FUNCTIONS.act(effect(CHARGE)) == Receipt("charge-key1", {"answer": {"id": "charge-key1", "amount": 5}})
    assert FUNCTIONS.act(effect({"function": "odd"})).detail == {"answer": 1}
    assert repeatable(FUNCTIONS, effect(CHARGE))
    assert not repeatable(FUNCTIONS, effect({"function": "odd"}))


def test_its_undo_gets_what_it_undoes() -> None:
    undo = FUNCTIONS.compensation(effect(CHARGE), Receipt("charge-key1"))
    assert undo is not None
    assert dict(undo.payload) == {
        "function": "refund",
        "arguments": {"arguments": {"amount": 5}, "reference": "charge-key1"},
    }
    assert FUNCTIONS.compensation(effect({"function": "odd"}), Receipt()) is None


@pytest.mark.parametrize("payload", [{}, {"function": "os.system"}, {"function": "charge", "arguments": [1]}])
def test_nothing_else_is_called(payload: Any) -> None:
    for call in (FUNCTIONS.act, FUNCTIONS.simulate):
        with pytest.raises(GiveUp):
            call(effect(payload))


def test_the_twin_names_arguments_only() -> None:
    assert FUNCTIONS.simulate(effect(CHARGE)).detail == {"would": {"function": "charge", "arguments": ["amount"]}}
