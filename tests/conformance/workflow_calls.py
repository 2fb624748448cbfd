"""The calls of the naive engine: HTTP and OpenAPI by the specification, to wherever the scenario routes them."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from tests.oracles.workflow import Raised, error

Json = Any


class Calls:
    """Carries out `call: http` and `call: openapi`."""

    def __init__(self, route: Callable[[str], str], declared: Json = None, secrets: Json = None) -> None:
        self._route, self._declared, self._secrets = route, declared or {}, secrets or {}

    def _as_whom(self, policy: Json) -> Json:
        """A policy with what it names instead of the names."""
        if "use" in policy:
            policy = self._declared[policy["use"]]
        return {scheme: self._secrets[said["use"]] if "use" in said else said for scheme, said in policy.items()}

    def __call__(self, name: str, arguments: Json, data: Json) -> Json:
        if name == "http":
            return self._http(arguments)
        if name == "openapi":
            return self._openapi(arguments)
        raise error("configuration", 400, f"{name} is not served here")

    def _http(self, arguments: Json) -> Json:
        endpoint = arguments["endpoint"]
        address = endpoint if isinstance(endpoint, str) else endpoint["uri"]
        policy = self._as_whom(endpoint.get("authentication", {})) if isinstance(endpoint, dict) else {}
        headers = dict(arguments.get("headers") or {})
        if "basic" in policy:
            pair = f"{policy['basic']['username']}:{policy['basic']['password']}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        if "bearer" in policy:
            headers["Authorization"] = f"Bearer {policy['bearer']['token']}"
        body = arguments.get("body")
        return self._send(arguments, arguments["method"], address, headers, arguments.get("query"), body)

    def _openapi(self, arguments: Json) -> Json:
        endpoint = arguments["document"]["endpoint"]
        address = endpoint if isinstance(endpoint, str) else endpoint["uri"]
        described = self._send({}, "get", address, {}, None, None)
        parts = urlsplit(address)
        for path, methods in described["paths"].items():
            filled = path
            for method, operation in methods.items():
                if operation.get("operationId") == arguments["operationId"]:
                    given = arguments.get("parameters", {})
                    query = {}
                    for parameter in operation.get("parameters", ()):
                        name = parameter["name"]
                        if name in given and parameter["in"] == "path":
                            filled = filled.replace(f"{{{name}}}", quote(str(given[name]), safe=""))
                        elif name in given and parameter["in"] == "query":
                            query[name] = str(given[name])
                    base = f"{parts.scheme}://{described.get('host', parts.netloc)}{described.get('basePath', '')}"
                    return self._send(arguments, method, base + filled, {}, query, None)
        raise error("configuration", 400, "no such operation")

    def _send(self, arguments: Json, method: str, address: str, headers: Json, query: Json, body: Json) -> Json:
        sent = json.dumps(body).encode() if body is not None else None
        if sent is not None:
            headers = {"Content-Type": "application/json", **headers}
        try:
            answer = httpx.request(
                method.upper(), self._route(address), headers=headers, params=query or None, content=sent, timeout=10
            )
        except httpx.HTTPError as problem:
            raise error("communication", 500, str(problem)) from None
        allowed = 399 if arguments.get("redirect") else 299
        if not 200 <= answer.status_code <= allowed:
            raise Raised(error("communication", answer.status_code, answer.text).problem)
        output = arguments.get("output", "content")
        if output == "raw":
            return base64.b64encode(answer.content).decode()
        plain = "json" not in answer.headers.get("content-type", "")
        content = answer.text if plain else answer.json()
        if output == "content":
            return content
        return {
            "request": {"method": method, "uri": address, "headers": dict(headers)},
            "statusCode": answer.status_code,
            "headers": dict(answer.headers),
            "content": content,
        }
