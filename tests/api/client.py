"""A client that speaks GraphQL over HTTP to an application in this process."""

from typing import Any

import httpx
from starlette.testclient import TestClient

from api.app import create_app
from api.graphql.schema import Schema, build_schema
from api.platform import Noesis

HERE = ("127.0.0.1", 50_000)

_SCHEMAS: dict[tuple[str, str], Schema] = {}


def schema(platform: Noesis) -> Schema:
    """The schema of a platform, made once for each ontology and settings: it is frozen, and making it takes a while."""
    key = (platform.ontology.digest, platform.settings.model_dump_json())
    if key not in _SCHEMAS:
        _SCHEMAS[key] = build_schema(platform.ontology, platform.settings)
    return _SCHEMAS[key]


class Client:
    """Questions to one platform, as the local user or with a key."""

    def __init__(self, platform: Noesis, key: str | None = None, peer: tuple[str, int] = HERE) -> None:
        self.platform = platform
        self.app = create_app(platform, schema(platform))
        self.http = TestClient(self.app, base_url="http://127.0.0.1:8400", client=peer, raise_server_exceptions=False)
        if key is not None:
            self.http.headers["Authorization"] = f"Bearer {key}"

    def post(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The raw answer."""
        body: dict[str, Any] = {"query": query}
        if variables:
            body["variables"] = variables
        return self.http.post("/graphql", json=body, headers=headers)

    def data(self, query: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = self.post(query, variables).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def refused(self, query: str, **variables: Any) -> tuple[str, str]:
        """Code and message of the first error."""
        answer = self.post(query, variables).json()
        assert answer.get("errors"), answer
        error = answer["errors"][0]
        return error["extensions"]["code"], error["message"]
