"""SQL: an effect as named statements in one transaction of the target database, together with the effect's key in an outbox table.

Invariants: key and statements commit together or not at all, so the effect happens truly once whoever repeats it, and whether it
happened is looked up by key. A payload names a statement of the settings and gives parameters: no SQL travels in a proposal.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.errors import GiveUp
from kg.values import Json

TABLE: Final = "noesis_outbox"
#: The outbox, in words that SQLite and PostgreSQL both understand.
CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS noesis_outbox (key VARCHAR(200) PRIMARY KEY, effect VARCHAR(200) NOT NULL, "
    "operation VARCHAR(500) NOT NULL, intended VARCHAR(40) NOT NULL, receipt TEXT NOT NULL)"
)
#: Characters of a receipt, and columns of a returned row, that are kept.
RETURNED_MAX: Final = 50
#: A named parameter; quoted text, comments and casts are passed over.
_PARAMETER: Final = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::)|:([A-Za-z_]\w*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done in one transaction: statements with their parameters; `rows`, where given, must be changed."""

    key: str
    effect: str
    operation: str
    intended: str
    statements: tuple[str, ...]
    parameters: Mapping[str, Json]
    rows: int | None = None


class Outbox(Protocol):
    """A database with an outbox table."""

    def perform(self, order: Order) -> Mapping[str, Json]:
        """Do it with its key in one transaction, or, where the key is there, give the receipt of then.

        RetryLater where the transaction surely did not commit for now, GiveUp where it never will.
        """

    def look_up(self, key: str) -> Mapping[str, Json] | None:
        """The receipt under this key, None where there is none; RetryLater where the database cannot be asked."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database that effects may write to, and the statements that they may name."""

    outbox: Outbox
    statements: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Sql:
    """Effector of kind ``sql``."""

    databases: Mapping[str, Database]
    kind: str = field(default="sql", init=False)
    idempotent: bool = field(default=True, init=False)
    can_look_up: bool = field(default=True, init=False)

    def act(self, effect: Effect) -> Receipt:
        """Perform the statements once."""
        database, order = self._order(effect)
        return _receipt(database.outbox.perform(order))

    def look_up(self, effect: Effect) -> Receipt | None:
        """What the outbox says of the key."""
        told = self._database(effect).outbox.look_up(effect.key)
        return None if told is None else _receipt(told)

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """As the payload declares: most often another statement with the same parameters."""
        return undo_of(self.kind, effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        """Which statement would run with which parameters; the database is not asked."""
        _, order = self._order(effect)
        would = {"database": effect.payload.get("database"), "statement": effect.payload.get("statement")}
        return Receipt("", {"would": {**would, "parameters": sorted(order.parameters)}})

    def _database(self, effect: Effect) -> Database:
        name = str(effect.payload.get("database", ""))
        found = self.databases.get(name)
        if found is None:
            known = ", ".join(sorted(self.databases)) or "none"
            raise GiveUp(f"there is no database {name[:80]!r} for effects; known are {known}")
        return found

    def _order(self, effect: Effect) -> tuple[Database, Order]:
        database, payload = self._database(effect), effect.payload
        statements = database.statements.get(str(payload.get("statement", "")))
        if statements is None:
            known = ", ".join(sorted(database.statements)) or "none"
            raise GiveUp(f"there is no statement {str(payload.get('statement'))[:80]!r}; known are {known}")
        parameters, rows = payload.get("parameters") or {}, payload.get("rows")
        if not isinstance(parameters, Mapping) or not (rows is None or isinstance(rows, int)):
            raise GiveUp("parameters are an object and rows a whole number; correct the payload")
        needed = {name for statement in statements for name in named(statement)}
        if needed != set(parameters):
            odd = sorted(needed ^ set(parameters))[0]
            raise GiveUp(
                f"the parameter {odd[:80]!r} is missing or unknown; the statement takes {', '.join(sorted(needed))}"
            )
        if any(isinstance(value, list | Mapping) for value in parameters.values()):
            raise GiveUp("a parameter is one value, not a list or an object; correct the payload")
        moment = effect.intended.isoformat()
        return database, Order(effect.key, effect.id, effect.operation, moment, statements, dict(parameters), rows)


def named(statement: str) -> list[str]:
    """The names of a statement's parameters, written as ``:name``."""
    return [match[2] for match in _PARAMETER.finditer(statement) if match[2]]


def percent(statement: str) -> str:
    """A statement with its parameters as ``%(name)s`` and its own per cent signs doubled (the style of psycopg)."""
    parts, end = [], 0
    for match in _PARAMETER.finditer(statement):
        parts.append(statement[end : match.start()].replace("%", "%%"))
        parts.append(f"%({match[2]})s" if match[2] else match[1].replace("%", "%%"))
        end = match.end()
    return "".join([*parts, statement[end:].replace("%", "%%")])


def told(rows: int, returned: Mapping[str, object]) -> dict[str, Json]:
    """A receipt as the outbox keeps it: rows changed, and the first row that a statement returned, as text or numbers."""
    kept = list(returned.items())[:RETURNED_MAX]
    plain = {name: value if isinstance(value, int | str | None) else str(value) for name, value in kept}
    return {"rows": rows, "returned": plain}


def unless_other(order: Order, rows: int) -> None:
    """GiveUp where another number of rows would change than was to be."""
    if order.rows is not None and rows != order.rows:
        raise GiveUp(f"{rows} rows would change, not {order.rows}; nothing was changed, look at the target")


def _receipt(said: Mapping[str, Json]) -> Receipt:
    returned = said.get("returned") or {}
    reference = next(iter(returned.values()), "")
    return Receipt("" if reference is None else str(reference), dict(said))
