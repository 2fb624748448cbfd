"""Outward calls: what leaves a workflow is a proposal by the workflow's agent, and takes the road of every proposal: conflicts,
gate, approval, intent, effector, receipt. The strand waits for its end.

Invariants: I3 the proposal's id follows from the step, so a step proposes once; I4 nothing outward happens on another road. The
target of a call that names none is its own step, so calls do not conflict with each other for being of one run.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from coordination import proposals, works
from coordination.codec import derive, form_of
from coordination.editing import latest
from coordination.effects import effect_id
from coordination.labels import labels_of
from coordination.proposals import GRAPH, Draft, Origin, Proposal
from coordination.runs.calls import Answer, Begun, Call
from coordination.runs.definitions import acts_as
from coordination.runs.hiding import named, refuse
from coordination.workflow.faults import Fault, fault
from kg.clock import Clock
from kg.errors import InputError
from kg.model import Link, Put, StateWrite, Write
from kg.ontology import Ontology
from kg.payloads import text_of
from kg.store import GraphStore
from kg.values import Json, Money, decode

_STATUS: Final = re.compile(r"(?:answered|refused with) (\d{3})")
#: The authentications of the specification.
SCHEMES: Final = ("basic", "bearer", "digest", "oauth2", "oidc")
#: What an ended proposal is to the workflow: kind of error and usual status.
PROBLEMS: Final[Mapping[str, tuple[str, int, str]]] = {
    "denied": ("authorization", 403, "Denied"),
    "rejected": ("authorization", 403, "Rejected"),
    "superseded": ("runtime", 409, "Superseded"),
    "expired": ("timeout", 408, "Expired"),
    "failed": ("communication", 500, "Failed"),
}


@dataclass(frozen=True, slots=True)
class Outward:
    """What all outward calls share: proposing, and reading what became of it."""

    store: GraphStore
    clock: Clock
    ontology: Ontology
    secrets: Mapping[str, Json] = field(default_factory=dict)

    def propose(self, call: Call, draft: Draft) -> Begun:
        """The proposal of a call, to be committed with the wait for it."""
        return proposed(self, call, [draft])

    def settled(
        self, handle: Mapping[str, Any], failed: str = "communication"
    ) -> tuple[Proposal, Mapping[str, Any]] | None:
        """The proposal with its receipt once it ended; raises the specification's error where it did not happen (`failed`: its
        type where the effector gave up).
        """
        id = handle["proposals"][0]
        proposal = latest(self.store, self.store.get([id]), id)
        if proposal.state in PROBLEMS:
            kind, status, title = PROBLEMS[proposal.state]
            kind = failed if proposal.state == "failed" else kind
            reason = proposal.text("reason") or f"the proposal was {proposal.state}"
            found = _STATUS.search(reason)
            raise fault(kind, reason, status=int(found.group(1)) if found else status, title=title)
        if proposal.state not in ("applied", "simulated"):
            return None
        effect = self.store.get([effect_id(proposal)]).get(effect_id(proposal))
        receipt = str(effect.get("receipt", "")) if effect is not None else ""
        return proposal, dict(json.loads(receipt)) if receipt else {}


def proposed(outward: Outward, call: Call, drafts: Sequence[Draft], model: Mapping[str, Json] | None = None) -> Begun:
    """The proposals of a call and the work that settles them."""
    document = call.plan.document
    origin = Origin(
        acts_as(document), document.version, None, call.key, derive("call", call.key, text_of(dict(call.arguments))),
        outward.store.head().position, call.run.depth + 1, model or {}, call.run.id, call.run.sandbox,
    )  # fmt: skip
    puts: list[Write] = []
    rows: list[StateWrite] = []
    follow: list[str] = []
    for index, draft in enumerate(drafts):
        refuse(
            [dict(draft.payload), draft.target, draft.rationale, [form_of(write) for write in draft.writes]],
            outward.secrets,
        )
        put = proposals.put(draft, origin, index, labels_of(outward.store, outward.ontology, draft))
        settle = works.settle(put.id)
        puts.append(put)
        rows.append(settle.first(call.now))
        follow.append(settle.id)
    ids = [put.id for put in puts if isinstance(put, Put)]
    return Begun({"proposals": ids}, puts, rows, follow)


@dataclass(frozen=True, slots=True)
class HttpCall:
    """`call: http` and `call: openapi`: the arguments as the effectors take them, the receipt as the specification gives it."""

    outward: Outward
    effector: str = "http"
    quick: bool = field(default=False, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Propose the call."""
        method = str(call.arguments.get("method", "get")).lower()
        if self.effector == "http":
            payload, operation = http_payload(call, self.outward.secrets), f"http.{method}"
        else:
            payload = openapi_payload(call, self.outward.secrets)
            operation = f"openapi.{payload['operation']}"
        draft = Draft(operation, call.step, effector=self.effector, payload=payload, rationale=_why(call))
        return self.outward.propose(call, draft)

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """The response, in the form that was asked for."""
        try:
            found = self.outward.settled(handle)
        except Fault as error:
            return {"problem": {"instance": call.reference, **error.problem}}
        if found is None:
            return None
        proposal, detail = found
        return {"output": _response(proposal.payload, detail)}

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nothing: what is proposed goes its way, its result is on record."""
        del call, handle
        return ()


def http_payload(call: Call, secrets: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """The payload of the effector "http"."""
    endpoint = call.arguments.get("endpoint")
    uri = endpoint.get("uri") if isinstance(endpoint, Mapping) else endpoint
    if not isinstance(uri, str) or not uri:
        raise fault("configuration", "`call: http` needs `endpoint`, an address or an object with `uri`")
    headers = dict(call.arguments.get("headers") or {})
    declared = endpoint.get("authentication") if isinstance(endpoint, Mapping) else None
    return {
        "method": str(call.arguments.get("method", "get")).upper(),
        "url": uri,
        "once": True,
        "output": call.arguments.get("output", "content"),
        **({"headers": headers} if headers else {}),
        **_as_whom(declared or call.arguments.get("authentication"), secrets or {}),
        **{name: call.arguments[name] for name in ("query", "body", "undo") if call.arguments.get(name) is not None},
    }


def openapi_payload(call: Call, secrets: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """The payload of the effector "openapi"; the document is one that the installation knows under its address or name."""
    document = call.arguments.get("document")
    endpoint = document.get("endpoint") if isinstance(document, Mapping) else document
    address = endpoint.get("uri") if isinstance(endpoint, Mapping) else endpoint
    parameters = dict(call.arguments.get("parameters") or {})
    body = parameters.pop("body", None)
    return {
        "document": address,
        "operation": call.text("operationId"),
        "parameters": parameters,
        "output": call.arguments.get("output", "content"),
        **({"body": body} if body is not None else {}),
        **_as_whom(call.arguments.get("authentication"), secrets or {}),
    }


def _as_whom(declared: Json, secrets: Mapping[str, Json]) -> dict[str, Json]:
    """The authentication of a call, its secrets named; they are filled in only where the call leaves."""
    if not declared:
        return {}
    if not isinstance(declared, Mapping) or not any(isinstance(declared.get(name), Mapping) for name in SCHEMES):
        raise fault("authentication", f"the authentication is not served; use one of {', '.join(SCHEMES)}", status=401)
    return {"authentication": named(declared, secrets)}


def _response(payload: Mapping[str, Json], detail: Mapping[str, Any]) -> Json:
    """The response as `output` asks for it: content, the whole response, or its raw bytes in base 64."""
    content = detail.get("content", detail.get("would"))
    how = payload.get("output")
    if how == "raw":
        text = content if isinstance(content, str) else "" if content is None else text_of(content)
        return base64.b64encode(text.encode()).decode()
    if how != "response":
        return content
    sent = {name: value for name, value in (payload.get("headers") or {}).items() if name.lower() != "authorization"}
    request = {"method": str(payload.get("method", "get")).lower(), "uri": payload.get("url", ""), "headers": sent}
    return {
        "request": request,
        "statusCode": detail.get("status", 0),
        "headers": detail.get("headers", {}),
        "content": content,
    }


@dataclass(frozen=True, slots=True)
class EffectCall:
    """`call: effect`: any operation on any target with any effector that the installation has; the graph where none is named."""

    outward: Outward
    quick: bool = field(default=False, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Propose the effect."""
        arguments = call.arguments
        target = str(arguments.get("target") or call.step)
        effector = str(arguments.get("effector", GRAPH))
        writes = graph_writes(self.outward.store, call, target) if effector == GRAPH else ()
        draft = Draft(
            call.text("operation"), target, writes, effector,
            payload=dict(arguments.get("payload") or {}) if effector != GRAPH else {},
            rationale=str(arguments.get("rationale") or _why(call)),
            amount=_amount(arguments.get("amount")),
            confidence=_decimal(arguments.get("confidence", 1)),
            priority=int(arguments.get("priority", 0)),
            compatible=tuple(map(str, arguments.get("compatible", ()))),
        )  # fmt: skip
        return self.outward.propose(call, draft)

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """What became of it."""
        try:
            found = self.outward.settled(handle)
        except Fault as error:
            return {"problem": {"instance": call.reference, **error.problem}}
        if found is None:
            return None
        proposal, detail = found
        return {"output": {"proposal": proposal.id, "state": proposal.state, "receipt": dict(detail)}}

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nothing: what is proposed goes its way, its result is on record."""
        del call, handle
        return ()


def graph_writes(store: GraphStore, call: Call, target: str) -> tuple[Write, ...]:
    """The writes of an effect on the graph: `set` changes the target (with `class`, makes it), `link` relates it to another."""
    arguments = call.arguments
    made: list[Write] = []
    there = store.get([target]).get(target)
    cls = arguments.get("class") or (there.cls if there is not None else None)
    if arguments.get("set") is not None:
        if not isinstance(cls, str):
            raise fault("configuration", f"{target} is not there; name its `class` to make it")
        try:
            made.append(Put(target, cls, {name: _value(item) for name, item in dict(arguments["set"]).items()}))
        except (InputError, TypeError, ValueError) as error:
            raise fault("validation", str(error)) from error
    for relation, other in dict(arguments.get("link") or {}).items():
        made.append(Link(target, str(relation), str(other)))
    if not made:
        raise fault("configuration", "an effect on the graph needs `set` or `link`; say what changes")
    return tuple(made)


def _value(item: Json) -> Any:
    if isinstance(item, float):
        return Decimal(str(item))
    if isinstance(item, Mapping | list):
        return tuple(_value(one) for one in item) if isinstance(item, list) else decode(item)
    return item


def _amount(given: Json) -> Money | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not isinstance(given.get("currency"), str):
        raise fault("configuration", "`amount` needs `value` and `currency`")
    return Money(_decimal(given.get("value")), given["currency"])


def _decimal(given: Json) -> Decimal:
    try:
        return Decimal(str(given))
    except InvalidOperation as error:
        raise fault("configuration", f"{str(given)[:40]!r} is no number") from error


def _why(call: Call) -> str:
    return f"step {call.reference} of run {call.run.id}"
