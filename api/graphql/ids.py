"""Global ids of Relay: an opaque text that names one entity in the whole schema, made of its class and its id.

Invariant: `entity_id(global_id(cls, id)) == id`. A plain entity id, as the command line and the log show it, is taken too.
Whether there is such an entity is not asked here.
"""

import base64
import binascii

from api.errors import BadRequestError

#: Characters of an id that a question may hold.
ID_MAX = 500
_MARK = "noesis"


def global_id(cls: str, id: str) -> str:
    """The global id of an entity."""
    return base64.urlsafe_b64encode(f"{_MARK}:{cls}:{id}".encode()).decode().rstrip("=")


def entity_id(given: str) -> str:
    """The entity id that a global id, or a plain one, names; BadRequestError where it cannot be either."""
    if not given or len(given) > ID_MAX or not given.isprintable():
        raise BadRequestError("an id is empty, too long or no text; give an id as another answer showed it")
    try:
        text = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)).decode()
    except (binascii.Error, ValueError):
        return given
    mark, _, rest = text.partition(":")
    cls, separator, id = rest.partition(":")
    return id if mark == _MARK and cls and separator and id else given
