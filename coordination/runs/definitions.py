"""Definitions: workflow versions as facts, registered once and never changed, and their plans kept by digest.

Invariant: a namespace, name and version have one content for ever; other content needs another version. The agent that a workflow
acts as, named by namespace and name, exists once the workflow does.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from coordination.codec import derive
from coordination.errors import StateError, WorkflowError
from coordination.workflow.document import Document, of_body
from coordination.workflow.plan import Plan
from governance.people import ensure_principal
from governance.principals import Principal
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Entity, Op, Put, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import STRING_MAX, Value, canonical

WORKFLOW: Final = "Workflow"
#: Plans kept in memory.
PLANS_MAX: Final = 256


def workflow_id(namespace: str, name: str, version: str) -> str:
    """The id of a workflow version."""
    return derive("workflow", namespace, name, version)


def acts_as(document: Document) -> str:
    """The name of the agent that a workflow acts as."""
    return f"{document.namespace}.{document.name}"


@dataclass(slots=True)
class Definitions:
    """The workflows of one graph."""

    store: GraphStore
    clock: Clock
    _plans: OrderedDict[str, Plan] = field(default_factory=OrderedDict)

    def register(self, document: Document, author: Principal, roles: tuple[str, ...] = ()) -> str:
        """The id of the workflow's entity, made where it is not there; StateError where the version has other content."""
        id = workflow_id(document.namespace, document.name, document.version)
        found = self.store.get([id]).get(id)
        if found is None:
            ensure_principal(self.store, self.clock, "Agent", acts_as(document), author, roles=roles)
            found = self._made(id, document, author)
        if found is not None and found["digest"] != document.digest:
            raise StateError(
                f"{document.key} is registered with other content; runs keep what they began with, so raise `document.version`"
            )
        self._keep(id, Plan(document))
        return id

    def plan(self, id: str) -> Plan:
        """The plan of a registered workflow."""
        found = self._plans.get(id)
        if found is None:
            entity = self.store.get([id]).get(id)
            if entity is None:
                raise StateError(f"there is no workflow {id[:80]!r}; register it first")
            found = Plan(of_body(json.loads(str(entity["text"]))))
            self._keep(id, found)
        return found

    def find(self, namespace: str, name: str, version: str = "latest") -> str:
        """The id of a workflow by name; "latest" is the highest version. StateError where there is none."""
        if version != "latest":
            id = workflow_id(namespace, name, version)
            if id in self._plans or id in self.store.get([id]):
                return id
        else:
            where = [Where("namespace", Op.EQ, namespace), Where("name", Op.EQ, name)]
            found = self.store.find(WORKFLOW, where, first=PAGE_MAX).items
            if found:
                return max(found, key=lambda entity: _ordered(str(entity["semanticVersion"]))).id
        raise StateError(f"there is no workflow {namespace}.{name}:{version}; register it first")

    def _made(self, id: str, document: Document, author: Principal) -> Entity | None:
        text = canonical(dict(document.body))
        if len(text) > STRING_MAX:
            raise WorkflowError(f"{document.key} has {len(text):,} characters; keep to {STRING_MAX:,} by splitting it")
        properties: dict[str, Value] = {
            "namespace": document.namespace,
            "name": document.name,
            "semanticVersion": document.version,
            "digest": document.digest,
            "text": text,
        }
        title = document.body["document"].get("title")
        if isinstance(title, str) and title:
            properties["title"] = title
        cause = Cause(derive("register", id, document.digest), "workflow.register", author.uid)
        try:
            self.store.commit([Put(id, WORKFLOW, properties)], cause, {id: ABSENT})
        except ConflictError:
            return self.store.get([id]).get(id)
        return None

    def _keep(self, id: str, plan: Plan) -> None:
        self._plans[id] = plan
        self._plans.move_to_end(id)
        while len(self._plans) > PLANS_MAX:
            self._plans.popitem(last=False)


def _ordered(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Semantic versions in order: numbers first, a pre-release before its release."""
    numbers, _, rest = version.partition("-")
    parts = tuple(int(part) if part.isdigit() else -1 for part in numbers.split("+")[0].split("."))
    return parts, not rest, rest
