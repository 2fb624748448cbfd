"""A Qdrant server as this process reaches it: gRPC where its port answers, else HTTP; and its faults in one sentence each.

Invariant: no text of a fault holds the key. Knows nothing of what is kept in the server.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kg.errors import SearchIndexError

#: The place of `:memory:` tests: the client's own engine in this process, for one thread.
MEMORY = ":memory:"
HTTP_PORT, GRPC_PORT = 6333, 6334
#: The first server that compares versions while it writes and keeps metadata with a collection.
OLDEST = (1, 16)
#: Characters of a server's own words that are passed on.
WORDS_MAX = 200
_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
_REFUSED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "401", "403"})
_MISSING = frozenset({"NOT_FOUND", "404"})


class MissingCollectionError(SearchIndexError):
    """The index on the Qdrant server was replaced meanwhile; try again."""


@dataclass(frozen=True, slots=True)
class QdrantServer:
    """An address such as https://index.example.com:6333 (https: TLS), its key, and seconds that one call may take.

    gRPC is tried one port above the address's own, or at `grpc_port`.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout_seconds: int = 5
    grpc_port: int | None = None

    @property
    def memory(self) -> bool:
        """Whether there is no server, only the client's engine."""
        return self.url == MEMORY

    def connect(self) -> Any:
        """A client that has been answered; SearchIndexError where there is no answer, or a server that is too old."""
        with self.translated():
            import qdrant_client

            if self.memory:
                return qdrant_client.QdrantClient(MEMORY)
            fault: Exception | None = None
            for grpc in (True, False):
                client = self._client(qdrant_client, grpc)
                try:
                    _check_version(client.info().version)
                except SearchIndexError:
                    client.close()
                    raise
                except Exception as error:
                    client.close()
                    fault = error
                else:
                    return client
            if _code(fault) in _MISSING:
                raise SearchIndexError(f"what answers at {self._place} is no Qdrant server; correct qdrant_url")
            raise fault or SearchIndexError

    def version(self) -> str:
        """The server's version; SearchIndexError where it does not answer."""
        client = self.connect()
        try:
            with self.translated():
                return str(client.info().version)
        finally:
            client.close()

    def _client(self, vendor: Any, grpc: bool) -> Any:
        port = urlsplit(self.url).port or HTTP_PORT
        with warnings.catch_warnings():
            # A key over plain HTTP is the operator's choice for a private network; docs/operations.md says so.
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
            return vendor.QdrantClient(
                url=self.url,
                port=port,
                grpc_port=self.grpc_port or (GRPC_PORT if port == HTTP_PORT else port + 1),
                prefer_grpc=grpc,
                api_key=self.key,
                timeout=self.timeout_seconds,
                check_compatibility=False,
            )

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn whatever the client raises into SearchIndexError, MissingCollectionError where the collection is not there."""
        try:
            yield
        except SearchIndexError:
            raise
        except ImportError:
            raise SearchIndexError("qdrant_url needs the package qdrant-client; install noesis[servers]") from None
        except Exception as error:
            raise self._told(error) from None

    @property
    def _place(self) -> str:
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url

    def _told(self, error: Exception) -> SearchIndexError:
        place = self._place
        code = _code(error)
        cause = getattr(error, "source", error)
        if code in _MISSING or (isinstance(error, ValueError) and str(error).endswith("not found")):
            return MissingCollectionError()
        if code in _REFUSED:
            return SearchIndexError(f"the Qdrant server at {place} refuses the key; correct qdrant_key")
        if code == "DEADLINE_EXCEEDED" or "timeout" in type(cause).__name__.lower():
            return SearchIndexError(
                f"the Qdrant server at {place} gave no answer within {self.timeout_seconds} s; see whether it is overloaded"
            )
        if code in _AWAY or (cause is not error and not isinstance(cause, ValueError)):
            return SearchIndexError(f"the Qdrant server at {place} does not answer; start it, or correct qdrant_url")
        details = getattr(error, "details", None)
        words = str(details() if callable(details) else error)
        said = " ".join(words.split()).replace(self.key or "\0", "…")[:WORDS_MAX]
        return SearchIndexError(f"the Qdrant server at {place} cannot serve ({said}); see its log")


def _code(error: Exception | None) -> str:
    """The gRPC code's name or the HTTP status of a client's error, "" where it has none."""
    status = getattr(error, "status_code", None)
    if status is not None:
        return str(status)
    code = getattr(error, "code", None)
    return str(getattr(code(), "name", "")) if callable(code) else ""


def _check_version(version: str) -> None:
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return
    if (int(parts[0]), int(parts[1])) < OLDEST:
        least = ".".join(map(str, OLDEST))
        raise SearchIndexError(f"the Qdrant server is version {version}; the index needs {least} or later")
