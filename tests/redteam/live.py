"""A `noesis serve` process of its own with people, rules, agents and an issuer of tokens, to be attacked over HTTP."""

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from api.cli.main import run
from tests.api.test_cli import AGENTS, ONTOLOGY
from tests.api.test_oidc import Door, Login, issuing, open_door
from tests.parts import ManualClock

SECONDS_MAX: Final = 180
HOOK_SECRET: Final = "hook-secret-4711"
EMAIL: Final = "frieda.hidden@example.org"
OWNER: Final = """
:owner a owl:DatatypeProperty ; rdfs:domain :Item ; rdfs:range xsd:string ; n:sensitivity "pii" ; n:personal true .
"""
MAPPING: Final = """
source: shop
tables:
  - from: items.csv
    class: Item
    key: { sku: sku }
    properties: { title: title, stock: stock, owner: owner }
"""
ITEMS: Final = f"""sku,title,stock,owner
A1,Pump!,4,
A2,Valve,200,
H-1,Hidden House!,5,{EMAIL}
"""
RULES: Final = """
@id("agents-read") permit(principal is Agent, action == Action::"read", resource is Item);
@id("agents-apply") permit(principal is Agent, action == Action::"apply", resource is Item);
@id("large-needs-boss") @requires("large") @approvers("boss:1")
forbid(principal, action == Action::"apply", resource is Item) when { resource has stock && resource.stock > 100 };
@id("bosses") permit(principal in Role::"boss", action, resource);
@id("clerks-read") permit(principal in Role::"clerk", action == Action::"read", resource is Item);
@id("clerks-not-hidden") forbid(principal in Role::"clerk", action == Action::"read", resource is Item)
when { resource has sku && resource.sku like "H-*" };
"""
CALLER: Final = """

class Caller:
    name, version, department, priority = "caller", "1", "stock", 0
    capabilities = ("item.call",)
    wakes = (Wake("Item", properties=("title",)),)

    def act(self, change, entity, context):
        title = str(entity.get("title", ""))
        if not title.startswith("call "):
            return []
        payload = {"url": title[5:], "body": {"sku": "x"}}
        return [Draft("item.call", entity.id, effector="webhook", payload=payload, evidence=context.evidence(entity))]


AGENTS = (Counter(), Caller())
"""
#: Two identities of one person, another person of the same role, and one who may read a part.
PEOPLE: Final = """
roles: [boss, clerk]
users:
  - { name: bea, roles: [boss], person: beatrix }
  - { name: bea2, roles: [boss], person: beatrix }
  - { name: carl, roles: [boss] }
  - { name: anna, roles: [clerk] }
"""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def data(self) -> Any:
        assert "errors" not in self.json, self.text
        return self.json["data"]


@dataclass
class Live:
    """The process, its address, its log, and what opens it."""

    port: int
    log: Path
    login: Login
    home: Path
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def door(self) -> Door:
        """What makes tokens, at the server's time."""
        return open_door(self.login, ManualClock(datetime.now(UTC)))

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str | bytes] | None = None
    ) -> Answer:
        """One request as it is, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        try:
            connection.putrequest(method, path)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(errors="replace"))
        finally:
            connection.close()

    def ask(self, query: str, who: str = "carl", token: str | bytes | None = None, **variables: Any) -> Answer:
        """A question of a person with a key, or with whatever is given as a token."""
        shown = self.keys[who] if token is None else token
        mark = shown if isinstance(shown, bytes) else shown.encode("latin-1")
        headers: dict[str, str | bytes] = {
            "content-type": "application/json", "authorization": b"Bearer " + mark,
        }  # fmt: skip
        return self.send("POST", "/graphql", json.dumps({"query": query, "variables": variables}).encode(), headers)

    def heard(self) -> str:
        """The log, after a line that this very call brings about: whatever was asked before has left its lines."""
        line = "Invalid HTTP request received"
        before = self.log.read_text().count(line)
        with socket.create_connection(("127.0.0.1", self.port), SECONDS_MAX) as raw:
            raw.sendall(b"\x00\r\n\r\n")
        self.until(lambda: self.log.read_text().count(line) > before, "the log names the last request")
        return self.log.read_text()

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """What holds in the end."""
        end = time.monotonic() + SECONDS_MAX
        while not (found := holds()):
            assert time.monotonic() < end, f"{what}: {self.log.read_text()[-2_000:]}"
            time.sleep(0.05)
        return found


def _noesis(folder: Path, *arguments: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert run(["--project", str(folder), *arguments]) == 0
    return said.getvalue()


def _project(folder: Path, login: Login) -> None:
    (folder / "rules").mkdir()
    files = {
        "noesis.toml": 'ontology = ["shop.ttl"]\nagents = "agents.py"\nrules = "rules"\npeople = "people.yaml"\n'
        f'keyless = false\noidc_issuer = "{login.url}"\noidc_audience = ["noesis-api"]\n'
        '[[mappings]]\nfile = "shop.yaml"\nlocation = "."\n',
        "shop.ttl": ONTOLOGY + OWNER, "shop.yaml": MAPPING, "rules/all.cedar": RULES, "people.yaml": PEOPLE,
        "agents.py": AGENTS + CALLER, "items.csv": ITEMS,
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
    _noesis(folder, "init")
    _noesis(folder, "ingest")


@contextmanager
def attacked(folder: Path) -> Iterator[Live]:
    """A server that runs as long as the block."""
    with issuing() as login:
        _project(folder, login)
        keys = {
            name: json.loads(_noesis(folder, "keys", "add", f"for {name}", "--for", name, "--json"))["key"]
            for name in ("bea", "bea2", "carl", "anna")
        }
        log = folder / "serve.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NOESIS_")}
        environment |= {"NOESIS_WEBHOOK_SECRET": HOOK_SECRET, "NOESIS_LOG_LEVEL": "debug"}
        line = [sys.executable, "-m", "api.cli", "--project", str(folder), "serve", "--port", "0"]
        with log.open("w") as out:
            process = subprocess.Popen(line, stdout=out, stderr=out, env=environment)
        live = Live(0, log, login, folder / ".noesis", keys)
        try:
            live.until(lambda: " at http" in log.read_text() or process.poll() is not None, "the server starts")
            address = log.read_text().split(" at ")[1].split(";")[0].strip()
            live.port = int(address.split(":")[2].split("/")[0])
            live.until(lambda: live.send("GET", "/healthz").status == 200, "it answers")
            yield live
            assert process.poll() is None, "no attack ended the server"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS_MAX)
