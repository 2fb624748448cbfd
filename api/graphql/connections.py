"""Connections: Relay's page of a list, with keyset cursors and a bounded count.

Invariant: a cursor is made of the item it stands at, so a page neither repeats nor skips items that did not move. Pages go
forward only. Does not fetch: it shapes what an operation has read.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import strawberry

from api.errors import BadRequestError
from api.graphql.cursors import seal
from kg.model import Cursor
from kg.store import PAGE_MAX


@strawberry.type(description="How many there are, counted no further than 1,000.")
class Count:
    count: int = strawberry.field(description="The number, at most 1,000.")
    exact: bool = strawberry.field(description="false: there may be more than that.")
    text: str = strawberry.field(description="For people: 17, or 1,000+.")


@strawberry.type(description="Where a page ends.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool = strawberry.field(description="Whether the page was asked for with `after`.")
    start_cursor: str | None
    end_cursor: str | None


def bounded(count: int) -> Count:
    """A count that was taken with the bound PAGE_MAX."""
    exact = count < PAGE_MAX
    return Count(count=count, exact=exact, text=f"{count:,}" if exact else f"{count:,}+")


@dataclass(frozen=True, slots=True)
class Place:
    """One item and where it stands in the list of this name."""

    node: Any
    listing: str
    at: Cursor

    @property
    def cursor(self) -> str:
        """The cursor; made only where it is asked for."""
        return seal(self.listing, self.at)


@dataclass(frozen=True, slots=True)
class Connection:
    """A page as resolved. `more` is the place after which more follow; `counting` is called only for totalCount."""

    edges: Sequence[Place]
    listing: str
    more: Cursor | None
    continued: bool
    counting: Callable[[], Awaitable[int]] | None = None

    @property
    def nodes(self) -> list[Any]:
        """The items without their cursors."""
        return [edge.node for edge in self.edges]

    @property
    def page_info(self) -> PageInfo:
        """Where the page ends."""
        start = self.edges[0].cursor if self.edges else None
        end = self.edges[-1].cursor if self.edges else None
        if self.more is not None:
            end = seal(self.listing, self.more)
        return PageInfo(
            has_next_page=self.more is not None, has_previous_page=self.continued, start_cursor=start, end_cursor=end
        )


def page_size(first: int, most: int) -> int:
    """A `first` argument within its bounds."""
    if not 1 <= first <= most:
        raise BadRequestError(f"first: {first} is outside 1 to {most}; ask for a page within, and go on with `after`")
    return first


async def _total(self: Any) -> Count | None:
    return None if self.counting is None else bounded(await self.counting())


def connection_type(name: str, node: Any) -> Any:
    """The Connection type, with its Edge type, of nodes of one GraphQL type."""
    edge_body = {"__annotations__": {"cursor": str, "node": node}, "__module__": __name__}
    edge = strawberry.type(type(f"{name}Edge", (), edge_body), description=f"One {name} of a list.")
    many = list.__class_getitem__
    annotations = {"edges": many(edge), "nodes": many(node), "page_info": PageInfo}
    body = {
        "__annotations__": annotations,
        "__module__": __name__,
        "total_count": strawberry.field(
            resolver=_total, graphql_type=Count | None, description="Counted no further than 1,000."
        ),
    }
    return strawberry.type(type(f"{name}Connection", (), body), description=f"A page of {name}.")
