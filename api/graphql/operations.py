"""Operation: what one GraphQL operation runs with, made anew for each, also on a socket that carries many.

It holds the principal, the View by the rules of this moment, one Reader at one position, and the loaders that gather a level
into one store call. Invariants: nothing outlives the operation, so no caller sees what another may see; the store is only
called through `call`, in a thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from strawberry.dataloader import DataLoader

from api.auth import Caller, Identify
from api.errors import UnauthenticatedError
from api.graphql.hops import Hop, RememberingReader, Slice
from api.graphql.rows import Row, type_name
from api.platform import Noesis
from api.threads import Threads
from api.ticker import Ticker
from governance.principals import Principal
from governance.readings import Readings
from kg.model import Cause, Entity
from kg.store import Head
from kg.view import View

T = TypeVar("T")
#: Seconds for which what was read to know the caller serves to take the rules as well.
FRESH_SECONDS = 0.1
#: Ids that one loader call hands to the store.
BATCH_MAX = 1_000


@dataclass(slots=True)
class Operation:
    """One operation of one principal; `open` must have run before it reads."""

    platform: Noesis
    threads: Threads
    ticker: Ticker
    caller: Caller | None = None
    identify: Identify | None = None
    connection_params: dict[str, object] = field(default_factory=dict)
    #: On a socket: the Authorization header and the peer's address of its handshake.
    handshake: tuple[str | None, str | None] = (None, None)
    #: The end of the log when the caller was made known, until it is opened with.
    end: Head | None = None
    #: When that was, on the monotonic clock.
    known: float = 0.0
    name: str | None = None
    #: The traceparent that came with the request.
    trace: str = ""
    #: Whether it is a subscription, which may wait for ever; `deadline` is the bound of what is being waited for.
    lasting: bool = False
    deadline: asyncio.Timeout | None = None
    at: int | None = None
    _view: View | None = None
    _readings: Readings | None = None
    _reader: RememberingReader | None = None
    _hops: dict[Hop, DataLoader[str, Slice]] = field(default_factory=dict)
    _entities: DataLoader[str, Entity | None] | None = None
    _causes: DataLoader[str, Cause | None] | None = None

    def fresh(self, name: str | None) -> "Operation":
        """Another operation of the same caller, with nothing read yet; `name` is the one that the request chose."""
        return Operation(
            self.platform,
            self.threads,
            self.ticker,
            self.caller,
            self.identify,
            self.connection_params,
            name=name,
            trace=self.trace,
            end=self.end,
            known=self.known,
        )

    @property
    def principal(self) -> Principal:
        """Who asks."""
        if self.caller is None:
            raise UnauthenticatedError
        return self.caller.principal

    async def know(self) -> Head:
        """Find out who asks, as of this moment's end of the log; raises where its key opens nothing now."""
        end, self.caller = await self.call(self._known)
        self.end = end
        return end

    def _known(self) -> tuple[Head, Caller | None]:
        self.known = self.platform.clock.monotonic()
        end = self.platform.store.head()
        return end, self.caller if self.identify is None else self.identify(end)

    async def again(self) -> int:
        """Know the caller anew, with the roles of this moment, and open again by rules no older than the position returned."""
        end = await self.know()
        await self.open(self.at)
        return end.position

    def endless(self) -> None:
        """Wait without a bound from here on."""
        self.lasting = True
        if self.deadline is not None:
            self.deadline.reschedule(None)

    async def call(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call into the synchronous core."""
        return await self.threads.run(function, *args, **kwargs)

    async def open(self, at: int | None = None) -> None:
        """Take the rules of this moment and forget everything read before, now or as of a position."""
        self.at = at
        # One look at the end of the log serves to know the caller and to take the rules; whoever opens again, or waited long
        # in between, looks again: a rule is in force at once.
        end, self.end = self.end, None
        if self.platform.clock.monotonic() - self.known > FRESH_SECONDS:
            end = None
        self._view = await self.call(self.platform.view, self.principal, end)
        await self.settle()
        self._readings = Readings(self.platform.ontology, self.principal, self._view, "graphql")
        self._reader = RememberingReader(self.platform.store, self._view, at)
        self._hops = {}
        self._entities = self._causes = None

    @property
    def view(self) -> View:
        """What the principal may see."""
        # INVARIANT I10: there is no default View; an operation that was not opened reads nothing.
        if self._view is None:
            raise RuntimeError("open the operation first")
        return self._view

    @property
    def readings(self) -> Readings:
        """What this operation told of personal and labelled values."""
        if self._readings is None:
            raise RuntimeError("open the operation first")
        return self._readings

    async def settle(self) -> None:
        """Put on record what was told since the last time; raises where it cannot, and then nothing may be answered."""
        if self._readings is not None and self._readings.pending:
            await self.call(self._readings.commit, self.platform.store, self.platform.clock)

    @property
    def reader(self) -> RememberingReader:
        """The Reader of this operation."""
        if self._reader is None:
            raise RuntimeError("open the operation first")
        return self._reader

    async def follow(self, hop: Hop, id: str) -> Slice:
        """One entity's page of a hop, fetched together with those of its level."""
        loader = self._hops.get(hop)
        if loader is None:

            async def load(ids: list[str]) -> Sequence[Slice]:
                found = await self.call(self.reader.follow, hop, ids)
                return [found.get(id, Slice()) for id in ids]

            loader = self._hops[hop] = DataLoader(load, max_batch_size=BATCH_MAX)
        return await loader.load(id)

    async def entity(self, id: str) -> Entity | None:
        """One visible entity, fetched together with others asked for at the same time."""
        if self._entities is None:

            async def load(ids: list[str]) -> Sequence[Entity | None]:
                found = await self.call(self.reader.get, ids)
                return [found.get(id) for id in ids]

            self._entities = DataLoader(load, max_batch_size=BATCH_MAX)
        return await self._entities.load(id)

    def row(self, entity: Entity) -> Row:
        """An entity as GraphQL resolves it."""
        if self._readings is not None:
            self._readings.note_row(entity)
        return Row(entity, type_name(self.platform.ontology, entity.cls), self._readings)

    async def row_of(self, id: str) -> Row | None:
        """One visible entity by its id, as GraphQL resolves it."""
        entity = await self.entity(id)
        return None if entity is None else self.row(entity)

    async def cause(self, id: str) -> Cause | None:
        """Who did what: only `agent` and `activity` of it may be shown without asking the View about its inputs."""
        if self._causes is None:

            async def load(ids: list[str]) -> Sequence[Cause | None]:
                found = await self.call(self.platform.store.causes, ids)
                return [found.get(id) for id in ids]

            self._causes = DataLoader(load, max_batch_size=BATCH_MAX)
        return await self._causes.load(id)
