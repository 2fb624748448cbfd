"""Sandbox: everything is decided and recorded as if it were real, and nothing leaves or changes."""

import json
import socket
from collections.abc import Sequence

import pytest

from coordination.compensation import compensate
from coordination.effectors.webhook import Webhook, WebhookSettings
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Link, Put
from kg.store import GraphStore
from tests.coordination.plant import Plant, Telling, card, number, plant, reorder
from tests.parts import ManualClock


def sandboxed(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    from dataclasses import replace

    return [replace(draft, sandbox=True) for draft in reorder(change, entity, store, at)]


def effect(p: Plant) -> Entity:
    (found,) = p.store.find("Effect").items
    return found  # type: ignore[no-any-return]


def test_a_graph_effect_says_what_it_would_do_and_does_nothing() -> None:
    p = plant(acts={"buyer": sandboxed})
    p.product("p", stock=1)
    p.run()
    assert p.one()["state"] == "simulated"
    assert p.decisions(p.one().id)[0]["outcome"] == "allow"
    assert not p.store.find("PurchaseOrder").items
    assert number(p.store.get(["p"])["p"], "onOrder") == 0
    assert (effect(p)["status"], effect(p)["simulated"]) == ("simulated", True)
    would = json.loads(str(effect(p)["receipt"]))["would"]
    assert [step.get("create") or step.get("link") or step.get("change") for step in would][1:] == [
        would[0]["create"],
        "p",
    ]
    assert would[2]["properties"] == ["onOrder"]
    assert "100" not in str(effect(p)["receipt"]), "values stay in the proposal, where their labels guard them"


def test_what_the_graph_would_refuse_fails_in_the_sandbox_too() -> None:
    wrong = Draft("order.create", "p", (Put("p", "Product", {"stock": "many"}),), sandbox=True)
    link = Draft("order.link", "p", (Link("p", "raisedBy", "q"),), sandbox=True)
    for draft in (wrong, link):
        p = plant(acts={"buyer": lambda *_, draft=draft: [draft]})  # type: ignore[misc]
        p.product("p", stock=1)
        p.run()
        assert p.one()["state"] == "failed", draft
        assert "it cannot be applied" in str(p.one()["reason"])


def test_a_simulated_proposal_stands_in_nobodys_way() -> None:
    def both(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return [*sandboxed(change, entity, store, at), *reorder(change, entity, store, at)]

    p = plant(acts={"buyer": both})
    p.product("p", stock=1)
    p.run()
    assert sorted(str(x["state"]) for x in p.proposals()) == ["applied", "simulated"]


@pytest.mark.parametrize("undo", [False, True])
def test_nothing_leaves(undo: bool) -> None:
    """A listening server sees no connection, by the effect or by its undoing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        payload = {"url": f"http://{address}/hook", "body": {"n": 1}}
        payload["undo"] = {"payload": {"url": f"http://{address}/undo"}}
        draft = Draft("notice.send", "t", effector="webhook", payload=payload, sandbox=True)
        p = plant(
            [card("teller", Wake("Ticket", on=frozenset({"created"})))],
            {"teller": lambda *_: [draft]},
            effectors=[Webhook(WebhookSettings(b"s", (address,)), ManualClock())],
        )
        p.put(Put("t", "Ticket", {}))
        p.run()
        assert p.one()["state"] == "simulated"
        assert json.loads(str(effect(p)["receipt"]))["would"]["host"] == address
        if undo:
            _, made = compensate(
                p.store, p.clock, [effect(p).id], reason="test", principal='User::"anna"', sandbox=True
            )
            p.queue.extend(made)
            p.run()
            (compensation,) = p.store.find("Compensation").items
            assert compensation["state"] == "done"
            assert [e["status"] for e in p.store.find("Effect").items] == ["simulated", "simulated"]
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_twin_refuses_what_the_effector_would_refuse() -> None:
    draft = Draft("notice.send", "t", effector="webhook", payload={"url": "ftp://x/"}, sandbox=True)
    p = plant(
        [card("teller", Wake("Ticket", on=frozenset({"created"})))],
        {"teller": lambda *_: [draft]},
        effectors=[Webhook(WebhookSettings(b"s"), ManualClock())],
    )
    p.put(Put("t", "Ticket", {}))
    p.run()
    assert p.one()["state"] == "failed"


def test_the_double_is_not_called() -> None:
    telling = Telling()
    draft = Draft("notice.send", "t", effector="telling", payload={"to": "t"}, sandbox=True)
    p = plant(
        [card("teller", Wake("Ticket", on=frozenset({"created"})))], {"teller": lambda *_: [draft]}, effectors=[telling]
    )
    p.put(Put("t", "Ticket", {}))
    p.run()
    assert telling.told == []
    assert effect(p)["receipt"] == '{"would":{"to":"t"}}'
