"""The check of every write against a class: exact types first, then the Pydantic model, and one clear error for both.

Invariant: a value of a personal or sensitive property never appears in the error. Does not know relations.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from kg.errors import OntologyError, ShapeError
from kg.ontology.classes import Class, Property
from kg.values import SCALARS, Value

_PYTHON = {scalar.name: scalar.python for scalar in SCALARS}
_NAMES = {scalar.python: scalar.name for scalar in SCALARS}
SHOWN_MAX: Final = 60
#: Compiled checks that a process keeps by name; beyond these it starts anew.
KEPT_MAX: Final = 1_000
_kept: dict[str, "Checker"] = {}


class Checker:
    """The compiled check of one class."""

    def __init__(self, cls: Class) -> None:
        from pydantic import BaseModel, ValidationError
        from pydantic_core import SchemaError

        from kg.ontology.models import field_name, model

        self.cls = cls
        self._types = {name: tuple if p.many else _PYTHON[p.type] for name, p in cls.properties.items()}
        self._lists = {name: _PYTHON[p.type] for name, p in cls.properties.items() if p.many}
        self._invalid = ValidationError
        self._fields = {field_name(name): name for name in cls.properties}
        try:
            self.model: type[BaseModel] = model(cls)
        except (SchemaError, TypeError, ValueError) as error:
            raise OntologyError(_bad_pattern(cls, error)) from None
        self._validate = self.model.__pydantic_validator__.validate_python

    def check(self, properties: Mapping[str, Value]) -> None:
        """Raise ShapeError where these whole properties do not fit the class."""
        types = self._types
        for name, value in properties.items():
            # Strict Pydantic takes subclasses (a Ref for a string, a datetime for a date); the scalar table does not.
            if type(value) is not types.get(name):
                raise ShapeError(self._wrong_type(name, value))
        for name, item in self._lists.items():
            for value in properties.get(name, ()):  # type: ignore[union-attr]
                if type(value) is not item:
                    raise ShapeError(self._wrong_type(name, value, item=True))
        try:
            self._validate(dict(properties))
        except self._invalid as error:
            raise ShapeError(self._explain(error)) from None

    def _where(self, prop: Property) -> str:
        shape = f" (shape {prop.constraints.shape})" if prop.constraints.shape else ""
        return f"{self.cls.name}.{prop.name}{shape}"

    def _wrong_type(self, name: str, value: Any, *, item: bool = False) -> str:
        prop = self.cls.properties.get(name)
        if prop is None:
            near = get_close_matches(name, self.cls.properties, 1)
            if name in self.cls.relations:
                hint = "it is a relation: write a Link"
            else:
                hint = f"did you mean {near[0]}?" if near else "declare it in the ontology or leave it out"
            return f"{self.cls.name} has no property {name[:100]!r}; {hint}"
        found = _NAMES.get(type(value), type(value).__name__)
        wanted, python = prop.type, _PYTHON[prop.type].__name__
        if prop.many and not item:
            wanted, python = f"list of {prop.type}", "a tuple"
        return f"{self._where(prop)}: {show(prop, value)} is of type {found}, not {wanted}; convert it to {python}"

    def _explain(self, error: Any) -> str:
        first = error.errors(include_url=False, include_context=False)[0]
        attribute = str(first["loc"][0]) if first["loc"] else ""
        prop = self.cls.properties[self._fields.get(attribute, attribute)]
        if first["type"] == "missing":
            return f"{self._where(prop)} is required but missing; give it a value"
        reason = prop.constraints.message or _reason(first["msg"])
        return (
            f"{self._where(prop)}: {show(prop, first['input'])} does not fit: {reason}; correct the value or the shape"
        )


def compiled(cls: Class) -> Checker:
    """The check of a class, compiled once where another ontology of this process has the very same class."""
    found = _kept.get(cls.name)
    if found is None or found.cls != cls:
        if len(_kept) >= KEPT_MAX:
            _kept.clear()
        found = _kept[cls.name] = Checker(cls)
    return found


def show(prop: Property, value: Any) -> str:
    """A value as an error may show it: shortened, and not at all where it is personal or sensitive."""
    if prop.confidential:
        return "the value (hidden)"
    text = str(value) if not isinstance(value, str) else repr(str(value))
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"


def _reason(message: str) -> str:
    for opening in ("Input should ", "String should ", "Value should ", "Tuple should "):
        if message.startswith(opening):
            return "it should " + message.removeprefix(opening)
    return message


def _bad_pattern(cls: Class, error: Exception) -> str:
    patterns = {name: p.constraints.pattern for name, p in cls.properties.items() if p.constraints.pattern}
    name = next((name for name, pattern in patterns.items() if str(pattern) in str(error)), next(iter(patterns), ""))
    where = f"{cls.name}.{name}" if name else cls.name
    return f"{where}: sh:pattern cannot be used (look-around and back-references are not supported); correct it"
