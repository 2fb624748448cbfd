"""What must hold of the lifecycle events of any run, whatever crashed on the way."""

from collections import Counter
from datetime import datetime
from typing import Any

from coordination.runs.lifecycle import PREFIX, SUCCESSIONS
from coordination.runs.lifecycles import events
from kg.model import Op, Where
from tests.kg.views import RuleView

ENDS = {"completed", "faulted", "cancelled"}


def named(event: dict[str, Any]) -> tuple[str, str]:
    """Of what an event is, and its name."""
    of, name = event["type"].removeprefix(PREFIX).removesuffix(".v1").split(".")
    return of, name


def legal(store: Any, run: str) -> list[dict[str, Any]]:
    """The events of a run; each is a CloudEvent, none comes twice, and each may follow the one before of the same run or task."""
    found = events(store, RuleView(), run)
    assert found == events(store, RuleView(), run), "asked again they are others"
    assert len({event["id"] for event in found}) == len(found), "an id comes twice"
    assert sorted(found, key=lambda event: event["sequence"]) == found
    last: dict[str, str] = {}
    for event in found:
        assert {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"} <= event.keys()
        assert datetime.fromisoformat(event["time"]).tzinfo is not None
        of, name = named(event)
        if name.startswith("correlation-"):
            continue
        subject = event["subject"]
        assert name in SUCCESSIONS[of][last.get(subject, "")], (last.get(subject), name, event)
        last[subject] = name
    entity = store.get([run])[run]
    states = {"running": {"started", "resumed", "status-changed"}, "waiting": {"status-changed"}}
    assert last[run] in states.get(entity["state"], {entity["state"]}), (last[run], entity["state"])
    ended = {step.id: step["state"] for step in store.find("Step", [Where("run", Op.EQ, run)], first=1_000).items}
    assert set(ended) == set(last) - {run}, "a step without events, or events without a step"
    for id, state in ended.items():
        if state in ENDS:
            assert last[id] == state
    if entity["state"] in ENDS:
        open_ = {id: name for id, name in last.items() if id != run and name not in ENDS and ended[id] != "skipped"}
        assert not open_, "the run ended and a task did not"
    return found


def counted(found: list[dict[str, Any]]) -> Counter[str]:
    return Counter(".".join(named(event)) for event in found)
