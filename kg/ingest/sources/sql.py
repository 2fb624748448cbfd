"""Reads tables of SQLite and PostgreSQL through dlt resources that are iterated, never run as a pipeline.

Invariant: the source is opened read-only, rows are streamed in chunks, and no message holds the password. SQLite values come
raw, since its declared types promise nothing; PostgreSQL's come as its driver gives them. dlt loads with the first table.
"""

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kg.errors import SourceError
from kg.ingest.mapping import TableMap
from kg.ingest.sources.credentials import redact, scrub
from kg.ingest.sources.row import CHUNK_ROWS, Row, Wanted, check_columns

CAUSES_MAX = 10
#: Options of an address that are secrets (libpq).
SECRETS = frozenset({"password", "sslpassword", "passfile"})
REASON_MAX = 300


def without_password(location: str) -> tuple[str, bool]:
    """A database address as it may be written down, and whether a password was left out; SourceError where it cannot be read."""
    import sqlalchemy

    try:
        url = sqlalchemy.make_url(location)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise SourceError(f"{redact(location)} is no address of a database; check it") from None
    named = [name for name in url.query if name.lower() in SECRETS]
    secret = url.password is not None or bool(named)
    url = url.set(query={name: value for name, value in url.query.items() if name not in named})
    return url._replace(password=None).render_as_string(), secret


class SqlSource:
    """A database; `close` returns its connections."""

    def __init__(self, name: str, location: str, connect: Callable[[], Any], *, raw: bool) -> None:
        self._name = name
        self._location = location
        self._connect = connect
        self._raw = raw
        self._engine: Any = None
        self._unfinished = False

    @classmethod
    def sqlite(cls, path: Path) -> "SqlSource":
        """A SQLite file, opened read-only."""
        if not path.is_file():
            raise SourceError(f"{path} does not exist; check the location")

        def connect() -> Any:
            import sqlite3

            import sqlalchemy

            def open_file() -> sqlite3.Connection:
                connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
                # Broken UTF-8 becomes lone surrogates, which the value table refuses: one bad row, not a dead run.
                connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
                return connection

            # One connection that the pool keeps: an iteration left early must not outlive it.
            return sqlalchemy.create_engine("sqlite://", creator=open_file, poolclass=sqlalchemy.pool.StaticPool)

        return cls(str(path), str(path), connect, raw=True)

    @classmethod
    def postgresql(cls, location: str) -> "SqlSource":
        """A PostgreSQL database by its address."""
        address = "postgresql+psycopg://" + location.partition("://")[2]

        def connect() -> Any:
            import sqlalchemy

            return sqlalchemy.create_engine(
                address,
                poolclass=sqlalchemy.pool.NullPool,
                connect_args={"options": "-c default_transaction_read_only=on", "connect_timeout": 10},
            )

        return cls(redact(location), location, connect, raw=False)

    @property
    def name(self) -> str:
        """The location without credentials."""
        return self._name

    def close(self) -> None:
        """Return the connections."""
        if self._unfinished:
            # dlt keeps an iteration that was left early in a reference cycle and has no public close for it: found later, it
            # would close its cursor after the database.
            gc.collect()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def rows(self, table: TableMap, wanted: Wanted) -> Iterator[Row]:
        """The rows of a table or query, in the order of the cursor where there is one."""
        try:
            yield from self._rows(table, wanted)
        except SourceError:
            raise
        except Exception as error:
            # dlt, SQLAlchemy and the drivers raise trees of their own; the root cause is what a person needs.
            raise self._error(repr(table.table), error) from None

    def _error(self, what: str, error: BaseException) -> SourceError:
        for _ in range(CAUSES_MAX):
            deeper = getattr(error, "orig", None) or error.__cause__
            if deeper is None or deeper is error:
                break
            error = deeper
        reason = scrub(" ".join(str(error).split()), self._location)[:REASON_MAX]
        return SourceError(
            f"{self._name}: {what} cannot be read ({type(error).__name__}: {reason}); "
            "check the address, the table and the permissions"
        )

    def _rows(self, table: TableMap, wanted: Wanted) -> Iterator[Row]:
        import sqlalchemy

        if self._engine is None:
            self._engine = self._connect()
        chunks = self._query(table, wanted) if table.query else self._table(sqlalchemy, table, wanted)
        self._unfinished = True
        with closing(chunks):
            for number, data in enumerate(chunks, 1):
                yield Row(number, data)
        self._unfinished = False

    def declared(self, names: Sequence[str], at_most: int) -> list[dict[str, Any]]:
        """Name, key and references of the tables of these names, or of each, in order of name.

        Where one of the names is none, every name is given without more, to choose from. SourceError where the source cannot be
        asked.
        """
        import sqlalchemy

        try:
            if self._engine is None:
                self._engine = self._connect()
            inspector = sqlalchemy.inspect(self._engine)
            there = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
            if not set(names) <= set(there):
                return [{"name": name, "key": (), "references": ()} for name in there]
            return [
                {
                    "name": name,
                    "key": inspector.get_pk_constraint(name)["constrained_columns"],
                    "references": inspector.get_foreign_keys(name),
                }
                for name in (sorted(set(names)) or there)[:at_most]
            ]
        except Exception as error:
            raise self._error("its list of tables", error) from None

    def _query(self, table: TableMap, wanted: Wanted) -> Generator[dict[str, Any], None, None]:
        import sqlalchemy

        if wanted.cursor is not None:
            raise SourceError(
                f"{table.table}: a cursor works on a table, not on a query; put the condition into the query"
            )
        with self._engine.connect().execution_options(yield_per=CHUNK_ROWS) as connection:
            result = connection.execute(sqlalchemy.text(table.query or ""))
            check_columns(f"{self._name}: query {table.table!r}", list(result.keys()), wanted.needed)
            for row in result.mappings():
                yield dict(row)

    def _table(self, sqlalchemy: Any, table: TableMap, wanted: Wanted) -> Generator[dict[str, Any], None, None]:
        import dlt
        from dlt.sources.sql_database import sql_table

        inspector = sqlalchemy.inspect(self._engine)
        schema, name = self._find(inspector, table.table)
        columns = [column["name"] for column in inspector.get_columns(name, schema)]
        check_columns(f"{self._name}: table {table.table!r}", columns, wanted.needed)
        dlt.config["runtime.dlthub_telemetry"] = False
        incremental = None
        if wanted.cursor is not None:
            incremental = dlt.sources.incremental(
                wanted.cursor, initial_value=wanted.since, row_order="asc", on_cursor_value_missing="include"
            )
        picked = None if wanted.columns is None else [column for column in columns if column in wanted.columns]
        resource = sql_table(
            self._engine,
            table=name,
            schema=schema,
            chunk_size=CHUNK_ROWS,
            reflection_level="minimal",
            table_adapter_callback=_untyped(sqlalchemy) if self._raw else None,
            included_columns=picked,
            incremental=incremental,
        )
        for item in resource:
            yield from item if isinstance(item, list) else (item,)

    def _find(self, inspector: Any, table: str) -> tuple[str | None, str]:
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
        if table in names:
            return None, table
        schema, dot, name = table.partition(".")
        if dot and schema in inspector.get_schema_names():
            inside = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
            if name in inside:
                return schema, name
        from difflib import get_close_matches

        near = get_close_matches(table, names, 1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(names)[:12]) or 'no table'}"
        raise SourceError(f"{self._name} has no table {table[:80]!r}; {hint}")


def _untyped(sqlalchemy: Any) -> Callable[[Any], None]:
    def strip(table: Any) -> None:
        for column in table.columns:
            column.type = sqlalchemy.types.NullType()

    return strip
