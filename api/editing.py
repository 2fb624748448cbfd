"""Edits from outside: a JSON object becomes the edit of a waiting proposal, as GraphQL and the command line hand it in.

Form: ``{"values": {entity id: {property: value or null}}, "payload": {member: value or null}, "amount": {"amount", "currency"}}``.
Invariant: nobody edits what they may not see: where writes or payload are withheld from the editor the edit is refused.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from api.errors import BadRequestError, ForbiddenError
from api.graphql.ids import entity_id
from api.graphql.records import read_properties
from api.graphql.scalars import PARSERS
from api.platform import Noesis
from coordination.editing import Edit, Edited, edit, waiting
from coordination.errors import UnknownSubjectError
from coordination.proposals import Proposal
from governance.principals import Principal
from kg.errors import ValueDomainError
from kg.model import Put
from kg.reader import Reader
from kg.values import Money, Value, canonical
from kg.view import View

#: Characters of an edit, and entities and members of it.
TEXT_MAX: Final = 200_000
MEMBERS_MAX: Final = 500
_PARTS: Final = frozenset({"values", "payload", "amount"})


def edit_proposal(platform: Noesis, view: View, principal: Principal, decision: str, given: Any, reason: str) -> Edited:
    """Edit the proposal that a decision asks about, as this principal, who sees it through this view."""
    reader = Reader(platform.store, view)
    if decision not in reader.get([decision]):
        # As where there is none: its state is nothing for whoever may not see it.
        raise UnknownSubjectError(f"there is no decision {decision[:80]!r}; take ids from `noesis inbox`")
    _, proposal = waiting(platform.store, decision)
    seen = reader.get([proposal.id]).get(proposal.id)
    if seen is None or seen.masked & {"writes", "payload"}:
        raise ForbiddenError("you may not see what this proposal would do, so you cannot edit it; approve or reject it")
    wanted = read_edit(platform, proposal, given)
    return edit(
        platform.store, platform.clock, platform.ontology, platform.rules(), principal, decision, wanted, reason
    )


def parse_edit(text: str) -> Any:
    """The JSON of an edit; BadRequestError where it is none."""
    if len(text) > TEXT_MAX:
        raise BadRequestError(f"an edit has at most {TEXT_MAX:,} characters; change less at once")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequestError('the edit is no JSON; write {"values": {"ID": {"property": value}}}') from None


def read_edit(platform: Noesis, proposal: Proposal, given: Any) -> Edit:
    """The edit in a JSON value, read by the ontology; BadRequestError naming the member that does not fit."""
    form = _object(given, "the edit")
    unknown = sorted(set(form) - _PARTS)
    if unknown or not form:
        raise BadRequestError(f"an edit has values, payload or amount, not {', '.join(unknown)[:80] or 'nothing'}")
    classes = {write.id: write.cls for write in proposal.writes if isinstance(write, Put)}
    values: dict[str, dict[str, Value | None]] = {}
    for key, members in _object(form.get("values", {}), "values").items():
        id = entity_id(key)
        if id not in classes:
            raise BadRequestError(f"the proposal writes no entity {id[:80]!r}; it writes {', '.join(sorted(classes))}")
        read, gone = read_properties(platform.ontology.cls(classes[id]), _object(members, f"values of {id[:80]}"))
        values[id] = {**read, **dict.fromkeys(gone)}
    payload = _object(form.get("payload", {}), "payload")
    try:
        canonical(dict(payload))
    except (ValueDomainError, RecursionError, ValueError, TypeError) as error:
        raise BadRequestError(f"the payload cannot be kept: {error}") from None
    return Edit(values, payload, _money(form["amount"]) if "amount" in form else None)


def _object(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or len(given) > MEMBERS_MAX:
        raise BadRequestError(f"{what} is no JSON object of at most {MEMBERS_MAX} members; correct it")
    return given


def _money(given: Any) -> Money:
    if not isinstance(given, Mapping) or set(given) != {"amount", "currency"}:
        raise BadRequestError('amount is written as {"amount": "12.50", "currency": "EUR"}')
    try:
        return Money(PARSERS["decimal"](given["amount"]), str(given["currency"]))
    except Exception as error:
        raise BadRequestError(f"amount cannot be read: {error}") from None
