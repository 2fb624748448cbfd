"""Notifier: an agent that proposes a notice to each person who may answer a decision, and to a role when glass is broken.

Put it into a project's AGENTS, give ``Agent::"notices"`` the right to read decisions, roles and people and to `apply` with
``context.effect == "notice"``. Invariant: it asks nothing about its own notices, so no notice makes another. It sends nothing:
the effector `notice` chooses address, words and link.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Direction, Entity, Op, Where

NAME: Final = "notices"
#: People who are told of one decision or break-glass.
PEOPLE_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Notifier:
    """`tells` are the roles that hear of broken glass."""

    tells: tuple[str, ...] = ("admin",)
    department: str = "governance"
    name: str = NAME
    version: str = "1"
    priority: int = 0
    capabilities: tuple[str, ...] = ("notice.approval", "notice.breakglass")
    wakes: tuple[Wake, ...] = (
        Wake("Decision", frozenset({"created"})),
        Wake("BreakGlass", frozenset({"created"})),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """A notice to each person in the roles that are asked, or told."""
        del change
        if entity.cls == "BreakGlass":
            return self._drafts(
                "notice.breakglass", entity, "breakGlass", self.tells, context, str(entity.get("holder"))
            )
        if entity.get("outcome") != "needs_approval" or entity.get("principal") == f'Agent::"{self.name}"':
            return ()
        required = entity.get("required", ())
        texts = required if isinstance(required, tuple) else ()
        roles = [part.rpartition(":")[0] for text in texts for part in str(text).partition("=")[2].split(",")]
        return self._drafts("notice.approval", entity, "decision", roles, context, "")

    def _drafts(
        self, operation: str, entity: Entity, member: str, roles: Sequence[str], context: Context, without: str
    ) -> Sequence[Draft]:
        held = entity.get("proposers", ())
        own = {without, *(map(str, held) if isinstance(held, tuple) else ())}
        people: dict[str, Entity] = {}
        for role in dict.fromkeys(roles):
            for found in context.find("Role", [Where("name", Op.EQ, role)], first=1):
                edges = context.expand(found.id, "hasRole", Direction.IN, PEOPLE_MAX)
                people |= {
                    e.entity.id: e.entity for e in edges if e.entity.cls == "User" and not e.entity.get("disabled")
                }
        named = {
            f"User::{json.dumps(person.get('name'), ensure_ascii=False)}": person
            for _, person in sorted(people.items())
        }
        return [
            Draft(
                operation,
                entity.id,
                effector="notice",
                payload={"person": uid, member: entity.id},
                rationale=f"{uid} holds a role that is asked or told",
                evidence=context.evidence(entity, person),
            )
            for uid, person in named.items()
            if uid not in own
        ][:PEOPLE_MAX]
