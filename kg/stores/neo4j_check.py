"""Compares a Neo4j database with what this Noesis expects there: server, migrations, constraints and indexes.

Invariant: it reads only, and does not need the store to open. What is wrong is told with the statement that mends it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from kg.stores.neo4j_migrate import checksum, migrations, statements
from kg.stores.neo4j_server import Server

#: The oldest server whose Cypher has all that the queries say.
OLDEST: Final = (5, 26)
#: Seconds that the server gets to answer.
SECONDS: Final = 5.0
_DEFINED = re.compile(
    r"CREATE (?:FULLTEXT )?(?:CONSTRAINT|INDEX) (\w+) IF NOT EXISTS FOR \(\w+:(\w+)\) (?:REQUIRE|ON(?: EACH)?) ([^I\n]+)"
)
_PART = re.compile(r"n\.(\w+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, whether it is as it should be, and what was seen or is to be done."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Expected:
    """An index or constraint that a migration makes: the statement, and the label and properties it is over."""

    statement: str
    label: str
    properties: tuple[str, ...]


def expected() -> dict[str, Expected]:
    """Every index and constraint that the migrations make, by name."""
    made: dict[str, Expected] = {}
    for _, _, text in migrations():
        for statement in statements(text):
            if (found := _DEFINED.match(statement)) is not None:
                one_line = " ".join(statement.split())
                made[found[1]] = Expected(one_line, found[2], tuple(_PART.findall(found[3])))
    return made


def examine(url: str, user: str, password: str, database: str | None = None) -> list[Finding]:
    """What stands in the database against what should; raises StoreError where the server cannot be asked."""
    server = Server(url, user, password, database, SECONDS)
    try:
        return [_server(server), _migrations(server), *_indexes(server)]
    finally:
        server.close()


def _server(server: Server) -> Finding:
    ((version, edition),) = server.rows(
        "CALL dbms.components() YIELD name, versions, edition WHERE name = 'Neo4j Kernel' RETURN versions[0], edition"
    )
    told = f"Neo4j {version} {edition}"
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        return Finding("graph server", False, f"{told} is too old; use 5.26 or later")
    return Finding("graph server", True, told)


def _migrations(server: Server) -> Finding:
    applied = {
        number: (name, found)
        for number, name, found in server.rows("MATCH (m:Migration) RETURN m.number, m.name, m.checksum")
    }
    known = {number: (name, checksum(text)) for number, name, text in migrations()}
    if not applied:
        return Finding("graph migrations", False, "none was applied yet; run `noesis init`")
    for number in sorted(applied.keys() | known.keys()):
        if number not in known:
            return Finding("graph migrations", False, f"{number:04} is of a newer Noesis; update this installation")
        if number not in applied:
            return Finding("graph migrations", False, f"{number:04} ({known[number][0]}) is missing; run `noesis init`")
        if applied[number] != known[number]:
            return Finding("graph migrations", False, f"{number:04} ({known[number][0]}) was altered; reinstall Noesis")
    return Finding("graph migrations", True, f"{len(applied)}, none altered")


def _indexes(server: Server) -> Iterator[Finding]:
    there = {
        name: (state, (labels or [""])[0], tuple(properties or ()))
        for name, state, labels, properties in server.rows(
            "SHOW INDEXES YIELD name, state, type, labelsOrTypes, properties WHERE type <> 'LOOKUP' "
            "RETURN name, state, labelsOrTypes, properties"
        )
    }
    unique = {name for (name,) in server.rows("SHOW CONSTRAINTS YIELD name RETURN name")}
    wrong = list(_wrong(there, unique))
    for name, (state, _, _) in there.items():
        if state == "FAILED":
            wrong.append(
                Finding(f"graph index {name}", False, f"it failed; run `DROP INDEX `{name}``, then `noesis init`")
            )
    yield from wrong
    if not wrong:
        filling = sum(state == "POPULATING" for state, _, _ in there.values())
        told = f"{len(there)}, all there" + (f", {filling} still filling" if filling else "")
        yield Finding("graph indexes", True, told)


def _wrong(there: dict[str, tuple[str, str, tuple[str, ...]]], unique: set[str]) -> Iterator[Finding]:
    for name, wanted in expected().items():
        kind = "constraint" if "CONSTRAINT" in wanted.statement else "index"
        remedy: Any = f"run `{wanted.statement}`"
        if name not in there or (kind == "constraint" and name not in unique):
            yield Finding(f"graph {kind} {name}", False, f"missing; {remedy}")
        elif there[name][1:] != (wanted.label, wanted.properties):
            yield Finding(f"graph {kind} {name}", False, f"defined otherwise; drop it, then {remedy}")
