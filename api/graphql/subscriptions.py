"""Subscriptions: the change log as it grows, through the caller's View.

A subscriber that is slow reads later: at most one batch is held for it, and the log itself is the queue, so nothing is dropped and
memory stays bounded. Invariants: I2, no visible change is skipped; before each batch the caller is known again and the View
made anew, so a revoked key or a new rule ends or narrows what it is told.
"""

from collections.abc import AsyncGenerator

import strawberry
from strawberry import Info

from api.graphql.changes import Change, describe
from api.graphql.operations import Operation
from api.graphql.scalars import Position


async def _changes(info: Info[Operation, None], after: Position | None = None) -> AsyncGenerator[Change, None]:
    operation = info.context
    settings = operation.platform.settings
    place = after
    if place is None:
        place = Position((await operation.call(operation.platform.store.head)).position)
    while True:
        seen = operation.ticker.position
        await operation.again()
        feed = await operation.call(operation.reader.changes, place, settings.queue_max)
        for change in feed.changes:
            yield describe(change)
        if feed.position == place:
            await operation.ticker.wait(seen)
        place = Position(feed.position)


@strawberry.type
class Subscription:
    """What can be followed."""

    changes = strawberry.subscription(
        resolver=_changes,
        description="Each visible change after a position, in order, for ever; without `after`, from now on.",
    )
