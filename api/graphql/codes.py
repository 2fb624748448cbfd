"""Codes: every error that leaves carries one of eight codes, and nothing of the inside.

Invariant: the text of an error is shown only where it was written for the caller; anything unexpected becomes INTERNAL with a
reference under which the log holds the rest. No traceback, no SQL, no path leaves.
"""

import enum
import traceback
from collections.abc import Sequence

import strawberry
import structlog
from graphql import GraphQLError

from api.errors import ApiError
from coordination.errors import StateError
from governance.errors import (
    AlreadyAnsweredError,
    ApprovalError,
    BreakGlassError,
    BudgetError,
    ControlError,
    DeniedError,
    ErasureError,
    KeyRejectedError,
    LinkError,
    PrincipalError,
    ReplayError,
    SelfApprovalError,
)
from kg.clock import Clock
from kg.errors import CauseReusedError, ConflictError, InputError, NoesisError, UnknownIdError

#: Frames of a traceback in the log.
STACK_MAX = 30
#: What graphql-core says where comparing the fields of a document would take too long.
ABORTED = "Validation aborted."


@strawberry.enum(description="What kind of error it is, for programs.")
class ErrorCode(enum.Enum):
    """What kind of error it is, for programs."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BAD_INPUT = "BAD_INPUT"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    TOO_COSTLY = "TOO_COSTLY"
    INTERNAL = "INTERNAL"


#: The first class that fits decides.
_CODES: Sequence[tuple[type[Exception], ErrorCode]] = (
    (UnknownIdError, ErrorCode.NOT_FOUND),
    (KeyRejectedError, ErrorCode.UNAUTHENTICATED),
    (DeniedError, ErrorCode.FORBIDDEN),
    (SelfApprovalError, ErrorCode.FORBIDDEN),
    (PrincipalError, ErrorCode.FORBIDDEN),
    (ReplayError, ErrorCode.CONFLICT),
    (BudgetError, ErrorCode.CONFLICT),
    (ErasureError, ErrorCode.CONFLICT),
    (LinkError, ErrorCode.FORBIDDEN),
    (AlreadyAnsweredError, ErrorCode.CONFLICT),
    (ApprovalError, ErrorCode.CONFLICT),
    (BreakGlassError, ErrorCode.CONFLICT),
    (ControlError, ErrorCode.BAD_INPUT),
    (StateError, ErrorCode.CONFLICT),
    (ConflictError, ErrorCode.CONFLICT),
    (CauseReusedError, ErrorCode.CONFLICT),
    (InputError, ErrorCode.BAD_INPUT),
    (TimeoutError, ErrorCode.TOO_COSTLY),
)


def code_of(error: BaseException) -> ErrorCode:
    """The code of an error of the core."""
    if isinstance(error, ApiError):
        return ErrorCode(error.code)
    return next((code for kind, code in _CODES if isinstance(error, kind)), ErrorCode.INTERNAL)


def shown(error: BaseException, clock: Clock) -> tuple[ErrorCode, str]:
    """The code and the text of an error as the outside may see them; what is hidden is logged."""
    code = code_of(error)
    if isinstance(error, TimeoutError):
        return code, "The request took too long; ask for less, or in several requests."
    if code is not ErrorCode.INTERNAL:
        return code, str(error)
    reference = clock.id()
    # As text, since a renderer of tracebacks would print local variables too, and with them keys and personal data.
    stack = "".join(traceback.format_exception(error, limit=STACK_MAX))
    structlog.get_logger("noesis.api").error("request failed", reference=reference, stack=stack)
    if isinstance(error, NoesisError):
        return code, f"{(type(error).__doc__ or 'It failed').strip()} (reference {reference})"
    return code, f"Something went wrong inside; give an administrator the reference {reference}."


def coded(error: GraphQLError, clock: Clock) -> GraphQLError:
    """A GraphQL error with its code and only what may be seen."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        if error.message == ABORTED:
            text = "the query repeats too many fields to be checked; ask in several requests"
            return GraphQLError(text, extensions={"code": ErrorCode.TOO_COSTLY.value})
        known = {**(cause.extensions or {} if cause is not None else {}), **(error.extensions or {})}
        code, message = ErrorCode(known.get("code", ErrorCode.BAD_INPUT.value)), error.message
    else:
        code, message = shown(cause, clock)
    return GraphQLError(
        message, error.nodes, error.source, error.positions, error.path, extensions={"code": code.value}
    )
