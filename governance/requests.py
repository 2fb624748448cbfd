"""The request of a decision as it is kept on record, and back: what replaying, trying and explaining need.

Invariant: it holds who asked, with the roles and departments of then, and the circumstances; never a property value of an entity,
which stays with the entity's own version so that erasing it there erases it everywhere (I14).
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring as quote
from typing import Final

from governance.errors import ReplayError
from governance.principals import Principal
from governance.verdict import Request, Resource
from kg.errors import ValueDomainError
from kg.model import Entity
from kg.store import GraphStore
from kg.values import Json, canonical, decode_properties, encode_properties

#: Characters of a request that are kept; a longer one is on record by its digest only.
REQUEST_MAX: Final = 20_000
#: Principals whose texts are remembered.
PRINCIPALS_MAX: Final = 1_024


@lru_cache(PRINCIPALS_MAX)
def _links(principal: Principal) -> str:
    """The chain of a principal as it is kept, as canonical JSON: the same few ask again and again."""
    return canonical(
        [
            {
                "uid": link.uid,
                "roles": sorted(link.roles),
                "departments": sorted(link.departments),
                "person": link.person,
            }
            | ({"breakGlass": link.break_glass} if link.break_glass else {})
            for link in principal.chain()
        ]
    )


@lru_cache(PRINCIPALS_MAX)
def _asking(principal: Principal) -> str:
    """The chain of a principal as a digest covers it, as canonical JSON."""
    return canonical([[link.uid, sorted(link.roles), sorted(link.departments)] for link in principal.chain()])


def kept(request: Request) -> tuple[str | None, str]:
    """What a record keeps of a request, both over canonical JSON.

    First the request without its resource's values, None where it is too long to keep; then the SHA-256 of the whole in
    hexadecimal: two requests with one digest ask the same of the same version.
    """
    principal, resource = request.principal, request.resource
    context = canonical(encode_properties(request.context))
    text = f'{{"context":{context},"principal":{_links(principal)}}}'
    stored = isinstance(resource, Entity)
    glass = f'"breakGlass":{quote(principal.under())},' if principal.under() else ""
    whole = (
        f'{{"action":{quote(request.action)},{glass}"context":{context},"principal":{_asking(principal)},'
        f'"properties":{"null" if stored else canonical(encode_properties(resource.properties))},'
        f'"resource":[{quote(resource.cls)},{quote(resource.id)}],'
        f'"version":{resource.version if isinstance(resource, Entity) else "null"}}}'
    )
    return text if len(text) <= REQUEST_MAX else None, hashlib.sha256(whole.encode()).hexdigest()


def request_of(store: GraphStore, decision: Entity, created: Resource | None = None) -> Request:
    """The request that a decision answered, on the versions of then; ReplayError where it cannot be had any more.

    `created` stands for a thing that was to be made and never was.
    """
    text = decision.get("request")
    if not isinstance(text, str):
        raise ReplayError(f"decision {decision.id} keeps no request; it was made by an older release or was too long")
    try:
        form = json.loads(text)
        principal = _chain(form["principal"])
        context = decode_properties(form["context"])
    except (ValueError, KeyError, TypeError, ValueDomainError) as error:
        raise ReplayError(f"the request of decision {decision.id} cannot be read: {error}") from None
    return Request(principal, str(decision["action"]), _resource(store, decision, created), context)


def _chain(links: list[Mapping[str, Json]]) -> Principal:
    found: Principal | None = None
    for link in reversed(links):
        kind, _, name = str(link["uid"]).partition("::")
        roles, departments = frozenset(link["roles"]), frozenset(link["departments"])
        glass = link.get("breakGlass", "")
        found = Principal(kind, json.loads(name), roles, departments, found, link["person"], break_glass=glass)
    if found is None:
        raise KeyError("principal")
    return found


def _resource(store: GraphStore, decision: Entity, created: Resource | None) -> Entity | Resource:
    target, cls = str(decision.get("target", "")), str(decision.get("targetClass", ""))
    version = decision.get("targetVersion")
    wanted = (target, version if isinstance(version, int) else 1)
    found = store.versions([wanted]).get(wanted)
    if found is not None:
        return found
    if isinstance(version, int):
        raise ReplayError(f"version {version} of {target} is not there any more; it was erased")
    return created or Resource(cls, target)
