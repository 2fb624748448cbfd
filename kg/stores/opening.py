"""Makes openings of stored rows: the very texts that were hashed, and the salts that open their commitments."""

import json
from typing import Any

from kg.evidence import Opening, Sealed
from kg.leaf import ERASURE, SALT_BYTES, cause_text, commitment, leaf_prefix, rest_text
from kg.stores.plan import link_text, version_text
from kg.stores.rows import CauseRow, ChangeRow, RelationRow, VersionRow
from kg.values import canonical


def opening(
    change: ChangeRow, version: VersionRow | None, link: RelationRow | None, cause: CauseRow, prior: bytes
) -> Opening:
    """The opening of a change; `prior` is the seal of the cause before."""
    prefix = leaf_prefix(cause.at, cause.seal)
    sealed = _sealed(cause, prior)
    if version is None:
        rest = None
        if link is not None and link.erased is None:
            rest = (link.salt.hex(), rest_text(change.origin, link.props))
        return Opening(change.position, link_text(prefix, change, link), rest, {}, sealed)
    erased: dict[str, Any] = json.loads(version.erased) if version.erased is not None else {}
    open_rest = (version.salts[:SALT_BYTES].hex(), rest_text(change.origin, version.props))
    gone = bool(erased) and erased[ERASURE]["rest"] is not None
    values: dict[str, Any] = json.loads(version.personal) if version.personal is not None else {}
    personal = {
        name: (version.salts[SALT_BYTES * n : SALT_BYTES * (n + 1)].hex(), canonical(value))
        for n, (name, value) in enumerate(values.items(), 1)
    }
    text = version_text(prefix, change, version)
    return Opening(change.position, text, None if gone else open_rest, personal, sealed)


def _sealed(cause: CauseRow, prior: bytes) -> Sealed:
    bounds = (cause.number, cause.at, cause.first, cause.last, prior.hex())
    if cause.erased is not None:
        return Sealed(*bounds, json.loads(cause.erased)["cause"], cause.request, None, None)
    text = cause_text(
        cause.id, cause.activity, cause.agent, cause.reason, cause.on_behalf_of, cause.inputs, cause.attributes
    )
    return Sealed(*bounds, commitment(cause.salt, text), cause.request, cause.salt.hex(), text)
