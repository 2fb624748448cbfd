"""The frozen parts of an ontology: Class, Property, RelationType, Constraints. Data only; inheritance is already resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kg.values import Scalar


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a SHACL property shape asks of each value; a bound of a money property is its amount.

    `pattern` is searched for, not matched from the start, as SHACL says. `min_count` and `max_count` bound a list.
    """

    one_of: tuple[Scalar, ...] = ()
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    at_least: Scalar | None = None
    at_most: Scalar | None = None
    above: Scalar | None = None
    below: Scalar | None = None
    min_count: int = 0
    max_count: int | None = None
    message: str | None = None
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a class. `type` names the scalar of kg.values.SCALARS that each value has; `many` makes it a tuple of them.

    `sensitivity` is a label that masks ask about, e.g. ``pii``; `personal` values may be erased on request.
    """

    name: str
    type: str
    many: bool = False
    required: bool = False
    sensitivity: str | None = None
    personal: bool = False
    searchable: bool = False
    indexed: bool = False
    label: str = ""
    comment: str = ""
    constraints: Constraints = field(default_factory=Constraints)

    @property
    def item(self) -> str:
        """The scalar type of one value, list or not."""
        return self.type

    @property
    def confidential(self) -> bool:
        """Whether a value may not be shown in errors and logs."""
        return self.personal or self.sensitivity is not None


@dataclass(frozen=True, slots=True)
class RelationType:
    """A relation from the class that declares it, `source`, to `target`; `inverse` names the way back.

    Not `many` means that a new target replaces the old (a foreign key). Several classes may have a relation of one name,
    so who follows it backwards filters by class.
    """

    name: str
    source: str
    target: str
    inverse: str
    many: bool = True
    label: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Class:
    """A class with everything it has, inherited or its own. `parents` are direct; `key` names a record within its source."""

    name: str
    label: str
    comment: str
    parents: tuple[str, ...]
    properties: Mapping[str, Property]
    relations: Mapping[str, RelationType]
    key: tuple[str, ...] = ()
    department: str | None = None
    platform: bool = False


def plain_fields(thing: Any) -> dict[str, Any]:
    """The fields of one of these parts by name, without those that hold nothing."""
    pairs = ((name, getattr(thing, name)) for name in thing.__dataclass_fields__)
    return {name: value for name, value in pairs if value not in (None, "", (), False)}
