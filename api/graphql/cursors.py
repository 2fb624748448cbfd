"""Cursors: opaque texts that name a place in one ordered list, stable while the list changes.

A cursor holds its version, the list it belongs to and the sort value and id of the item before the place, so a page starts
after a place and not after a number of items: what is inserted or deleted elsewhere neither shifts nor repeats an item.
Invariant: a garbled cursor, or one of another list, is one clear error. It grants nothing: every page passes the View.
"""

import base64
import binascii
import hashlib
import json

from api.errors import BadRequestError
from kg.errors import ValueDomainError
from kg.model import Cursor
from kg.values import canonical, decode, encode

VERSION = 1
#: Characters of a cursor; a sort value longer than this makes no page.
CURSOR_MAX = 20_000
_SUM = 6


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(b"noesis cursor" + body).digest()[:_SUM]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def seal(listing: str, place: Cursor) -> str:
    """The cursor of a place in the list with this name."""
    value = None if place.value is None else encode(place.value)
    body = canonical([VERSION, listing, value, place.id]).encode()
    return _text(_sum(body) + body)


def open_cursor(listing: str, text: str) -> Cursor:
    """The place that a cursor names; BadRequestError where it is garbled, of another version or of another list."""
    if len(text) > CURSOR_MAX:
        raise BadRequestError("`after` is no cursor of this API; give an endCursor as an earlier page showed it")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        # The last character of base64 has bits to spare, so the text is compared too.
        if raw[:_SUM] != _sum(raw[_SUM:]) or _text(raw) != text:
            raise ValueError("checksum")
        version, of, value, id = json.loads(raw[_SUM:])
        place = Cursor(None if value is None else decode(value), str(id))
    except (binascii.Error, ValueError, TypeError, ValueDomainError):
        raise BadRequestError(
            "`after` is no cursor of this API; give an endCursor as an earlier page showed it"
        ) from None
    if version != VERSION or of != listing:
        raise BadRequestError("`after` belongs to another list or order; start again at the first page")
    return place
