"""Exports the schema as SDL for clients, codegen and the diff in tests: ``python -m api.graphql.export [--out FILE] FILE.ttl …``.

Invariant: the same ontology gives the same bytes, and settings do not show. `api/schema.graphql` is that of the distributor
example; a test says when it is stale and how to renew it.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from api.graphql.schema import build_schema
from api.settings import Settings
from api.texts import platform_texts
from kg.errors import NoesisError
from kg.ontology import load


def sdl(texts: Mapping[str, str]) -> str:
    """The SDL of these Turtle files together with the platform's."""
    return build_schema(load({**platform_texts(), **texts}), Settings.model_construct()).as_str() + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the SDL of the named files."""
    parser = argparse.ArgumentParser(
        prog="python -m api.graphql.export", description="Print the GraphQL schema as SDL."
    )
    parser.add_argument("ontology", nargs="*", type=Path, help="Turtle files")
    parser.add_argument("--out", type=Path, help="file to write; none: standard output")
    given = parser.parse_args(arguments)
    try:
        text = sdl({path.as_posix(): path.read_text(encoding="utf-8") for path in given.ontology})
        if given.out is None:
            sys.stdout.write(text)
        else:
            given.out.write_text(text, encoding="utf-8")
    except (NoesisError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
