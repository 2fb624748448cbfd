"""The connection to a Neo4j server: sessions, managed transactions with retry, and the driver's errors as ours.

Invariant: every error of the driver that leaves a store passes `meaning`, one sentence each. Work handed in may run more than
once and must have no effect outside its transaction. Holds no query of the port.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kg.errors import (
    InputError,
    NoesisError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

if TYPE_CHECKING:
    from neo4j import Driver, ManagedTransaction, Result, Session, Transaction

Made = TypeVar("Made")
#: Seconds to wait for the turn to write, for one transaction, and for a server that is starting again.
PATIENCE: Final = 30.0
#: Seconds that reading everything may take.
LONG_SECONDS: Final = 86_400.0
#: How often a commit of unknown fate is looked for and, where it was not done, done again.
TRIES_MAX: Final = 5
#: Seconds to wait for a connection to be made.
CONNECT_SECONDS: Final = 10.0
#: Connections of one process at most.
CONNECTIONS_MAX: Final = 64
#: Tries of one read at most, and the wait after the first in seconds.
READS_MAX: Final = 60
FIRST_WAIT: Final = 0.1
SCHEMES: Final = tuple(f"{scheme}{more}" for scheme in ("neo4j", "bolt") for more in ("", "+s", "+ssc"))

#: Beginnings of the server's error codes, the first that fits counts.
_CODES: Final[tuple[tuple[str, type[NoesisError], str], ...]] = (
    (
        "Neo.ClientError.Security.Forbidden",
        StoreReadOnlyError,
        "the graph server lets this user do too little; grant it",
    ),
    ("Neo.ClientError.Security", StoreError, "the graph server refused the login; set store_user and store_password"),
    (
        "Neo.ClientError.Database.DatabaseNotFound",
        StoreError,
        "the graph server has no such database; set store_database",
    ),
    ("Neo.ClientError.General.ForbiddenOnReadOnly", StoreReadOnlyError, "the database is read-only; make it writable"),
    (
        "Neo.ClientError.Cluster.NotALeader",
        StoreReadOnlyError,
        "this member of the cluster may not write; use neo4j://",
    ),
    ("Neo.ClientError.Transaction.TransactionTimedOut", StoreBusyError, "another process holds the graph; try again"),
    ("Neo.ClientError.Transaction.LockClientStopped", StoreBusyError, "another process holds the graph; try again"),
    (
        "Neo.ClientError.Statement.ArgumentError",
        InputError,
        "the graph server cannot hold a value; shorten or leave it out",
    ),
    ("Neo.ClientError.Schema", StoreCorruptError, "rows of the graph contradict each other; run `noesis verify`"),
    (
        "Neo.TransientError.General.MemoryPool",
        StoreFullError,
        "the graph server ran out of memory; commit less at once",
    ),
    (
        "Neo.TransientError.General.OutOfMemory",
        StoreFullError,
        "the graph server ran out of memory; commit less at once",
    ),
    ("Neo.TransientError", StoreBusyError, "the graph server is busy; try again"),
    (
        "Neo.DatabaseError.Transaction.TransactionStartFailed",
        StoreFullError,
        "the graph server stopped its database after a fault of its own, most often a full disk; look into its log, "
        "make room and restart it",
    ),
    ("Neo.DatabaseError.General.IndexCorruption", StoreCorruptError, "an index of the graph is damaged; make it anew"),
)
#: A full disk fails a commit after it was written to the server's own log, from which a restart does it all the same.
_UNSURE: Final = "Neo.DatabaseError.Transaction.TransactionCommitFailed"
_CLOSED: Final = "the store is closed; open it again"
_AWAY: Final = "the graph server cannot be reached; check that it runs and that store_url is right"


class UnsureError(StoreError):
    """Nobody confirmed the commit, so whether it was done is unknown; see to the server, then retry with the same cause."""


def meaning(error: Exception) -> NoesisError:
    """Our error for one of the driver's."""
    from neo4j import exceptions as vendor

    if isinstance(error, vendor.Neo4jError):
        if (error.code or "").startswith(_UNSURE):
            return UnsureError()
        return _refused(error.code or "", error.message or "")
    if isinstance(error, vendor.IncompleteCommit):
        return UnsureError()
    away = (vendor.ServiceUnavailable, vendor.SessionExpired, vendor.ConnectionAcquisitionTimeoutError)
    sentence = f"the graph server cannot be used ({type(error).__name__}); run `noesis doctor`"
    if isinstance(error, vendor.ConfigurationError):
        sentence = "the graph server cannot be used with these settings; check store_url"
    elif isinstance(error, away):
        sentence = _AWAY
    elif "closed" in str(error).lower():
        sentence = _CLOSED
    return StoreError(sentence)


def _refused(code: str, message: str) -> NoesisError:
    """Our error for one that the server sent."""
    if "too large to index" in message:
        return InputError("an id, a name or a value is too long for the graph server to index; shorten it")
    for start, kind, sentence in _CODES:
        if code.startswith(start):
            return kind(sentence)
    return StoreError(f"the graph server refused the work ({code or 'no code'}); run `noesis doctor`")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into errors of `kg.errors`."""
    from neo4j import exceptions as vendor

    try:
        yield
    except (vendor.Neo4jError, vendor.DriverError) as error:
        raise meaning(error) from error
    except OSError as error:
        raise StoreError(_AWAY) from error


class Server:
    """One database of a Neo4j server or cluster."""

    def __init__(
        self, url: str, user: str, password: str, database: str | None = None, patience: float = PATIENCE
    ) -> None:
        from neo4j import GraphDatabase

        if url.split("://", 1)[0] not in SCHEMES:
            raise InputError(f"{url[:40]!r} is no address of a graph server; use neo4j://… or bolt://…")
        self.patience = patience
        self._database = database
        with translated():
            self._driver: Driver = GraphDatabase.driver(
                url,
                auth=(user, password),
                connection_timeout=CONNECT_SECONDS,
                connection_acquisition_timeout=patience,
                max_connection_pool_size=CONNECTIONS_MAX,
                max_transaction_retry_time=patience,
                # The driver's second would be most of the time that a broken connection costs.
                initial_retry_delay=FIRST_WAIT,
                keep_alive=True,
                notifications_min_severity="OFF",
                user_agent="noesis",
            )
        self._closed = False

    @contextmanager
    def _session(self, reading: bool = False) -> Iterator["Session"]:
        if self._closed:
            raise StoreError(_CLOSED)
        mode = "READ" if reading else "WRITE"
        with (
            translated(),
            self._driver.session(database=self._database, fetch_size=1_000, default_access_mode=mode) as session,
        ):
            yield session

    def write(self, work: Callable[["ManagedTransaction"], Made]) -> Made:
        """Do the work in one transaction, again where the server says that this may help."""
        from neo4j import unit_of_work

        with self._session() as session:
            return session.execute_write(unit_of_work(timeout=self.patience)(work))

    def read(self, work: Callable[["Asking"], Made]) -> Made:
        """Read, again where the server says that this may help; each query is a transaction and one round trip of its own.

        One transaction for all of them would see no more alike: Neo4j reads what is committed at each moment.
        """

        def work_again() -> Made:
            with self._session(reading=True) as session:
                return work(Asking(session, self.patience))

        return self._patiently(work_again)

    def _patiently(self, work: Callable[[], Made]) -> Made:
        """Do the work, again where the server says that this may help, within the bound."""
        from neo4j import exceptions as vendor

        end = time.monotonic() + self.patience
        for wait in _waits():
            try:
                return work()
            except NoesisError as error:
                cause = error.__cause__
                again = isinstance(cause, vendor.Neo4jError | vendor.DriverError) and cause.is_retryable()
                if self._closed or not again or time.monotonic() + wait > end:
                    raise
                time.sleep(wait)
        raise StoreError(_AWAY)

    def long_read(self, work: Callable[["Asking"], Made]) -> Made:
        """Read the whole graph once, each query for as long as it takes within a day."""
        with self._session(reading=True) as session:
            return work(Asking(session, LONG_SECONDS))

    def rows(self, text: str, /, **values: Any) -> list[list[Any]]:
        """The rows of one reading query."""
        return self.read(lambda tx: fetch(tx, text, values))

    @contextmanager
    def attempt(self, seconds: float) -> Iterator["Transaction"]:
        """A transaction that is always rolled back and ends after some seconds."""
        with self._session() as session, session.begin_transaction(timeout=seconds) as transaction:
            yield transaction
            if not transaction.closed():
                transaction.rollback()

    def define(self, text: str, **values: Any) -> None:
        """Run one statement that makes its own transactions, such as an index or constraint; it may run again."""

        from neo4j.exceptions import ClientError

        def run() -> None:
            with self._session() as session:
                try:
                    session.run(text, values).consume()
                except ClientError as error:
                    # IF NOT EXISTS looks before another process has made the same, and then finds it made.
                    if not (error.code or "").endswith("AlreadyExists"):
                        raise

        # Processes that start at once make the same indexes, and lock each other out for a moment.
        self._patiently(run)

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        with translated():
            self._driver.close()


class Asking:
    """Runs reading queries, each in a transaction of its own that ends with its answer."""

    def __init__(self, session: "Session", seconds: float) -> None:
        self._session = session
        self._seconds = seconds

    def run(self, text: str, values: Mapping[str, Any]) -> "Result":
        """The answer to a query, which may take so many seconds."""
        from neo4j import Query

        return self._session.run(Query(text, timeout=self._seconds), dict(values))


def _waits() -> Iterator[float]:
    """Seconds between tries of a read: doubling, with jitter, no longer than a second; bounded in number."""
    for turn in range(READS_MAX):
        yield min(FIRST_WAIT * 2**turn, 1.0) * random.uniform(0.8, 1.2)


def fetch(
    tx: "ManagedTransaction | Transaction | Asking", text: str, values: Mapping[str, Any] | None = None
) -> list[list[Any]]:
    """The rows of a query inside a transaction."""
    return tx.run(text, dict(values or {})).values()
