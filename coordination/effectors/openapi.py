"""OpenAPI: an effect as one operation of a described API. The payload names `document`, `operation`, `parameters` and `body`.

Invariants: parameters and body are checked against the description before anything is sent; a path parameter is one segment, so it
leads nowhere else; servers, secrets and bounds are those of `http`. Reads OpenAPI 3 and Swagger 2; fetches no document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from coordination.effectors.addresses import Resolve, resolve
from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.effectors.http import REPEATABLE, HttpSettings, Request, perform, request_of, simulated
from coordination.effectors.json_shapes import fault, referred
from coordination.errors import EffectorError, GiveUp
from kg.values import Json

_VERBS: Final = ("get", "put", "post", "delete", "options", "head", "patch")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document: method, URL template, what it takes."""

    method: str
    url: str
    parameters: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any] | None
    body_required: bool = False


@dataclass(frozen=True, slots=True)
class OpenApi:
    """Effector of kind ``openapi``; `documents` are the parsed descriptions by name."""

    settings: HttpSettings
    documents: Mapping[str, Mapping[str, Any]]
    resolving: Resolve = resolve
    kind: str = field(default="openapi", init=False)
    can_look_up: bool = field(default=False, init=False)

    @property
    def idempotent(self) -> bool:
        """As the settings say of the targets; `repeatable` says it of one effect."""
        return self.settings.honours_key

    def repeatable(self, effect: Effect) -> bool:
        """By the operation's method, or where the target honours the key."""
        return self.settings.honours_key or self._operation(effect.payload).method in REPEATABLE

    def act(self, effect: Effect) -> Receipt:
        """Call the operation once."""
        return perform(self._request(effect), self.settings, self.resolving)

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: OpenAPI describes no way to ask by key."""
        raise EffectorError(f"a target over HTTP cannot be asked whether effect {effect.id} happened; ask its owner")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """As the payload declares."""
        return undo_of(self.kind, effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        """What would be called."""
        return simulated(self._request(effect))

    def _document(self, payload: Mapping[str, Json]) -> Mapping[str, Any]:
        named = payload.get("document")
        if isinstance(named, Mapping):
            return named
        document = self.documents.get(str(named))
        if document is None:
            known = ", ".join(sorted(self.documents)) or "none"
            raise GiveUp(f"there is no OpenAPI document {str(named)[:80]!r}; known are {known}")
        return document

    def _operation(self, payload: Mapping[str, Json]) -> Operation:
        return operation_of(self._document(payload), str(payload.get("operation", "")))

    def _request(self, effect: Effect) -> Request:
        payload = effect.payload
        document = self._document(payload)
        return request_of(effect, called(document, self._operation(payload), payload), self.settings)


def operation_of(document: Mapping[str, Any], id: str) -> Operation:
    """The operation with this operationId; GiveUp where there is none."""
    for path, raw in (document.get("paths") or {}).items():
        item = referred(document, raw)
        for verb in _VERBS:
            found = item.get(verb)
            if isinstance(found, Mapping) and found.get("operationId") == id:
                return _operation(document, path, verb, item, found)
    raise GiveUp(f"the document describes no operation {id[:80]!r}; give an operationId of it")


def called(document: Mapping[str, Any], operation: Operation, payload: Mapping[str, Json]) -> dict[str, Json]:
    """The payload of the HTTP call that an operation with its arguments is; GiveUp where they do not fit."""
    given = dict(payload.get("parameters") or {})
    url, query, headers = operation.url, {}, dict(payload.get("headers") or {})
    for parameter in operation.parameters:
        name, place = str(parameter["name"]), parameter.get("in")
        if name not in given:
            if parameter.get("required"):
                raise GiveUp(f"the operation needs the parameter {name!r}; give it")
            continue
        value = given.pop(name)
        value, text = _checked(document, parameter, name, value)
        if place == "path":
            url = url.replace(f"{{{name}}}", quote(text, safe=""))
        elif place == "query":
            query[name] = value
        elif place == "header":
            headers[name] = text
        else:
            raise GiveUp(f"the parameter {name!r} stands in {place!r}, which is not supported; leave it out")
    if given:
        raise GiveUp(f"the operation takes no parameter {sorted(given)[0][:80]!r}; leave it out")
    made: dict[str, Json] = {"method": operation.method, "url": url, "query": query, "headers": headers}
    if payload.get("authentication") is not None:
        made["authentication"] = payload["authentication"]
    return {**made, **_body(document, operation, payload.get("body"))}


def _checked(document: Mapping[str, Any], parameter: Mapping[str, Any], name: str, value: Json) -> tuple[Json, str]:
    """A parameter's value, and as text; GiveUp where it does not fit its description, or would lead to another path."""
    shape = parameter.get("schema") or parameter
    if shape.get("type") == "array" and not isinstance(value, list):
        # A query names a list's only item as it names a single value.
        value = [value]
    wrong = fault(document, shape, value, name)
    if wrong:
        raise GiveUp(wrong)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if parameter.get("in") == "path" and text in ("", ".", ".."):
        raise GiveUp(f"the parameter {name!r} may not be {text!r}; give a value")
    return value, text


def _body(document: Mapping[str, Any], operation: Operation, body: Json) -> dict[str, Json]:
    if body is None:
        if operation.body_required:
            raise GiveUp("the operation needs a body; give it")
        return {}
    if operation.body is None:
        raise GiveUp("the operation takes no JSON body; leave it out")
    wrong = fault(document, operation.body, body, "body")
    if wrong:
        raise GiveUp(wrong)
    return {"body": body}


def _operation(
    document: Mapping[str, Any], path: str, verb: str, item: Mapping[str, Any], found: Mapping[str, Any]
) -> Operation:
    merged: dict[tuple[str, str], Mapping[str, Any]] = {}
    for raw in (*(item.get("parameters") or ()), *(found.get("parameters") or ())):
        parameter = referred(document, raw)
        merged[str(parameter.get("name")), str(parameter.get("in"))] = parameter
    plain = tuple(parameter for (_, place), parameter in merged.items() if place != "body")
    body = next((parameter for (_, place), parameter in merged.items() if place == "body"), None)
    if body is not None:
        return Operation(
            verb.upper(), _server(document, found) + path, plain, body.get("schema") or {}, bool(body.get("required"))
        )
    described = referred(document, found.get("requestBody") or {})
    content = described.get("content") or {}
    schema = next((kind.get("schema") or {} for name, kind in content.items() if "json" in name), None)
    return Operation(
        verb.upper(),
        _server(document, found) + path,
        plain,
        schema,
        bool(described.get("required")) and schema is not None,
    )


def _server(document: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The address under which the paths stand: the first server, its variables at their defaults."""
    if "swagger" in document:
        schemes = document.get("schemes") or ["https"]
        scheme = "https" if "https" in schemes else str(schemes[0])
        return f"{scheme}://{document.get('host', '')}{str(document.get('basePath', '')).rstrip('/')}"
    servers = found.get("servers") or document.get("servers") or []
    if not servers:
        raise GiveUp("the OpenAPI document names no server; add one")
    url = str(servers[0].get("url", ""))
    for name, variable in (servers[0].get("variables") or {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return url.rstrip("/")
