"""Subscriptions: the change log as it grows, through the caller's View.

A subscriber that is slow reads later: at most one batch is held for it, and the log itself is the queue, so nothing is dropped and
memory stays bounded. Invariants: I2, no visible change is skipped; I10, no change is told under rules older than itself: the
caller is known again and the View made anew before each batch, which ends where the log ended then. A batch that a slow reader
takes long over is given up and begun again, so a revoked key or a new rule soon ends or narrows what it is told.
"""

import asyncio
from collections.abc import AsyncGenerator

import strawberry
from strawberry import Info

from api.graphql.changes import Change, check_written, describe
from api.graphql.operations import Operation
from api.graphql.scalars import Position


async def _changes(info: Info[Operation, None], after: Position | None = None) -> AsyncGenerator[Change, None]:
    operation = info.context
    settings = operation.platform.settings
    place = after
    if place is None:
        place = Position((await operation.call(operation.platform.store.head)).position)
    now = asyncio.get_running_loop().time
    while True:
        seen, begun = operation.ticker.position, now()
        # INVARIANT I10: the rules are as new as the last change of the batch.
        end = await operation.again()
        check_written(place, end)
        feed = await operation.call(operation.reader.changes, place, settings.queue_max, end)
        if feed.position == place:
            await operation.ticker.wait(seen)
        for change in feed.changes:
            yield describe(change)
            if now() - begun >= settings.feed_poll_seconds:
                place = Position(change.position)
                break
        else:
            place = Position(feed.position)


@strawberry.type
class Subscription:
    """What can be followed."""

    changes = strawberry.subscription(
        resolver=_changes,
        description="Each visible change after a position, in order, for ever; without `after`, from now on.",
    )
