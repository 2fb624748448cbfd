"""Names for classes and properties, made from those of tables and columns as people would write them.

Invariant: every name can be spelt in GraphQL and is none that the platform keeps; within one scope no two are equal.
"""

import re
import unicodedata
from collections.abc import Callable, Collection
from pathlib import PurePath
from typing import Final

from kg.ingest.keys import PART, SUBPART
from kg.ingest.sources.location import SUFFIXES_FILE
from kg.ontology.names import NAME_MAX, fault, reserved_class, reserved_field

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
#: Words that say only that a column refers to another row.
KEY_WORDS: Final = frozenset({"id", "no", "nr", "num", "number", "code", "key", "ref", "fk"})
#: Where an ending is more than the s of a plural: itself, what it becomes.
_ENDINGS: Final = (
    ("ies", "y"),
    ("sses", "ss"),
    ("shes", "sh"),
    ("ches", "ch"),
    ("xes", "x"),
    ("ss", "ss"),
    ("us", "us"),
    ("is", "is"),
)
_SHORT: Final = 3


def spellable(name: str) -> bool:
    """Whether a mapping can name a table or column so."""
    return bool(name.strip()) and PART not in name and SUBPART not in name


def words(name: str) -> list[str]:
    """The words of a name in lower case, without accents."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return [word.lower() for word in _WORD.findall(plain)]


def singular(word: str) -> str:
    """One of what an English word names several of; the word itself where it is none."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending):
            return word[: -len(ending)] + instead
    return word[:-1] if word.endswith("s") and len(word) > _SHORT else word


def plural(word: str) -> str:
    """Several of what an English word names one of."""
    if word.endswith("y") and word[-2:-1] not in set("aeiou"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def class_name(table: str, taken: Collection[str]) -> str:
    """The name of the class that a table's rows become."""
    path = PurePath(table)
    found = words(path.stem if path.suffix.lower() in SUFFIXES_FILE else table)
    stem = "".join(word.capitalize() for word in [*found[:-1], *map(singular, found[-1:])]) or "Thing"
    if not stem[0].isalpha():
        stem = f"T{stem}"
    return _free(
        stem[: NAME_MAX - 10], taken, lambda name: reserved_class(name, platform=False) or fault(name), "Record"
    )


def field_name(parts: list[str], cls: str, taken: Collection[str]) -> str:
    """The name of a property or relation made of these words; `cls` goes before one that every entity has already."""
    stem = _camel(parts) or "value"
    if not stem[0].isalpha():
        stem = f"n{stem.capitalize()}"
    if reserved_field(stem) is not None:
        stem = _camel([*words(cls), *parts])
    return _free(stem[: NAME_MAX - 10], taken, lambda name: reserved_field(name) or fault(name), "Value")


def _camel(parts: list[str]) -> str:
    return "".join(part if place == 0 else part.capitalize() for place, part in enumerate(parts))


def _free(stem: str, taken: Collection[str], wrong: Callable[[str], str | None], more: str) -> str:
    low = {name.lower() for name in taken}
    name = stem if wrong(stem) is None else stem + more
    number = 2
    while name.lower() in low or wrong(name) is not None:
        name, number = f"{stem}{number}", number + 1
    return name
