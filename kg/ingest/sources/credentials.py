"""Shows locations, and messages about them, without the credentials that they hold."""

import re
from urllib.parse import unquote, urlsplit

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def redact(location: str) -> str:
    """The location without user, password and options."""
    if not SCHEME.match(location):
        return location
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return location.partition("://")[0] + "://…"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def secrets(location: str) -> list[str]:
    """Every spelling of the secrets inside a location, longest first, so that messages can be scrubbed of them."""
    found: set[str] = set()
    authority = location.partition("://")[2]
    if "@" in authority:
        login = authority.rpartition("@")[0]
        password = login.partition(":")[2]
        found |= {password, unquote(password), login}
    for part in location.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        if name.lower() in {"password", "passfile", "sslpassword", "sslkey", "user"}:
            found |= {value, unquote(value)}
    return sorted((secret for secret in found if secret), key=len, reverse=True)


def scrub(message: str, location: str) -> str:
    """The message without any secret of the location."""
    for secret in secrets(location):
        message = message.replace(secret, "…")
    return message
