"""Every error that the outside sees first, each with the code that GraphQL and HTTP answers carry.

    NoesisError
    └── ApiError                     a request that is not answered
        ├── UnauthenticatedError     who asks is not known
        ├── ForbiddenError           who asks may not
        ├── BadRequestError          what is asked makes no sense
        ├── NotFoundError            what is asked for is not there, or not to be seen
        └── TooCostlyError           what is asked is more than one request may take
    InputError
    └── SettingsError                a setting, a variable or noesis.toml
        └── BindingError             the API would be open to others without a key

The class docstring is the default message, with the remedy.
"""

from kg.errors import InputError, NoesisError


class ApiError(NoesisError):
    """The request cannot be answered; correct it and try again."""

    code = "BAD_INPUT"


class UnauthenticatedError(ApiError):
    """No valid key came with the request; send `Authorization: Bearer <key>` (make one with `noesis keys add`)."""

    code = "UNAUTHENTICATED"


class ForbiddenError(ApiError):
    """You may not do this; ask an administrator for the role or a rule that permits it."""

    code = "FORBIDDEN"


class BadRequestError(ApiError):
    """The request makes no sense; correct it and try again."""


class NotFoundError(ApiError):
    """There is no such thing, or you may not see it; check the id."""

    code = "NOT_FOUND"


class TooCostlyError(ApiError):
    """The request asks for too much at once; ask for less, or in several requests."""

    code = "TOO_COSTLY"


class SettingsError(InputError):
    """A setting cannot be used; correct it in noesis.toml or in the environment."""


class BindingError(SettingsError):
    """The API would answer other machines without a key; set `keyless = false`, or bind to 127.0.0.1."""
