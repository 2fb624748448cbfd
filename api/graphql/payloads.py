"""Payloads: how a mutation says why nothing was done.

Invariant: what the caller can mend is part of the payload, with a code; what nobody outside can mend is raised.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import strawberry

from api.graphql.codes import ErrorCode, code_of, shown
from api.graphql.operations import Operation

T = TypeVar("T")


@strawberry.type(description="Why nothing was done.")
class UserError:
    code: ErrorCode
    message: str


async def attempt(operation: Operation, act: Callable[[], Awaitable[T]], refused: Callable[[list[UserError]], T]) -> T:
    """What `act` gives, or a payload that says why not; what nobody outside can mend is raised."""
    try:
        return await act()
    except Exception as error:
        if code_of(error) is ErrorCode.INTERNAL:
            raise
        code, message = shown(error, operation.platform.clock)
        return refused([UserError(code=code, message=message)])
