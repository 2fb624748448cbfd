"""Lists of names in settings: an array in noesis.toml, a comma-separated text in the environment. Reads neither."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

_ORIGIN = re.compile(r"https?://[^/\s*?#@]+/?", re.IGNORECASE)


def _split(value: Any) -> Any:
    """The names in a comma-separated text, as a variable of the environment gives them."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them; a pattern or a path would match none of them, without a word."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin[:80]!r} is no origin; write scheme and host alone, such as https://portal.example.com"
            )
    return origins


Listed = Annotated[tuple[str, ...], BeforeValidator(_split)]
ListedOrigins = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_origins)]
