"""Exclusive: of several agents that were woken for one subject and declare one capability as theirs alone, one gets the task.

Invariants: the choice is committed with the cursor and the work, so it is made once (I3); where the chosen agent's work is put
aside, the next of the chain gets it, and only after the last one a person. Who declares nothing of the kind is never left out.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import replace

from coordination import works
from coordination.acting import AgentCard
from coordination.codec import derive
from coordination.routing import CLASS, OPEN, Router, Task, routing_id
from coordination.works import Work
from kg.model import Cause, Change, Put
from kg.store import GraphStore

Woken = MutableMapping[tuple[str, str], tuple[AgentCard, Change]]


def alone(router: Router, woken: Woken) -> list[Put]:
    """Leave one agent for each subject and exclusive capability in `woken`; the writes that put the choices on record."""
    wanted: dict[tuple[str, str], list[AgentCard]] = {}
    for (_, subject), (card, _) in woken.items():
        for capability in card.exclusive:
            if capability in card.capabilities:
                wanted.setdefault((subject, capability), []).append(card)
    made: list[Put] = []
    for (subject, capability), cards in sorted(wanted.items()):
        there = [card for card in cards if (card.name, subject) in woken]
        if len(there) < 2:
            continue
        position = max(woken[card.name, subject][1].position for card in there)
        task = Task(f"{capability}:{subject}:{position}", capability)
        choice = router.choose(task, there)
        if not choice.chain:
            # All of them are held: each waits for its control, as without routing.
            continue
        chosen = choice.chain[0].agent
        for card in there:
            if card.name != chosen:
                del woken[card.name, subject]
        act = works.act_id(chosen, subject, woken[chosen, subject][1].position)
        made.append(router.record(replace(task, key=act), choice, chosen, {}))
    return made


def fallback(store: GraphStore, router: Router, work: Work, reason: str) -> tuple[list[Put], Work | None]:
    """Who stands in for an agent whose routed work is put aside: the writes, and the work; none where nobody is left."""
    routing = store.get([routing_id(work.id)]).get(routing_id(work.id))
    if routing is None or routing["state"] != OPEN:
        return [], None
    chain = routing["chain"]
    rest = tuple(map(str, chain[1:])) if isinstance(chain, tuple) else ()
    for index, name in enumerate(rest):
        next_ = replace(
            Work(works.act_id(name, work.subject, work.position), "act", work.subject, name, work.position, work.depth),
            trace=work.trace,
        )
        if works.read(store, next_.id) is not None:
            continue
        old = Put(routing.id, CLASS, {"state": "ended", "ended": router.clock.now()})
        properties = {name: value for name, value in routing.properties.items() if name not in ("ended", "until")}
        failed = (f"{work.agent}: {reason}"[:500],)
        new = {**properties, "task": next_.id, "agent": name, "chain": rest[index:], "failed": failed,
               "began": router.clock.now()}  # fmt: skip
        return [old, Put(routing_id(next_.id), CLASS, new)], next_
    return [], None


def cause(work: Work) -> Cause:
    """Why somebody else gets the work."""
    about: Mapping[str, str] = {"work": work.id}
    id = derive("fallback", work.id, work.revision)
    return Cause(id, "routing.fallback", 'Service::"coordination"', f"{work.agent} cannot", attributes=dict(about))
