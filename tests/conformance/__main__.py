"""Runs outside suites against the platform: all, or those named. Each prints `name: passed/total` last."""

import argparse
import importlib
import sys
from pathlib import Path

SUITES = {
    "cedar": "tests.conformance.cedar_corpus",
    "graphql-http": "tests.conformance.graphql_http.__main__",
    "open-workflow": "tests.conformance.workflow_ctk",
}


def main(given: list[str]) -> int:
    """The worst exit code of the suites run; 2 for an unknown name, or a folder of cases that cannot be read."""
    parser = argparse.ArgumentParser(prog="tests.conformance", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="FOLDER",
        help="decide the hand-written Cedar cases of this folder too (suite cedar)",
    )
    asked = parser.parse_args(given)
    unknown = [name for name in asked.suites if name not in SUITES]
    if unknown:
        sys.stderr.write(f"there is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}\n")
        return 2
    names = asked.suites or list(SUITES)
    if asked.cases is not None and "cedar" not in names:
        sys.stderr.write("--cases goes with the suite cedar; name it, or leave the option out\n")
        return 2
    return max(
        int(importlib.import_module(SUITES[name]).main(*([asked.cases] if name == "cedar" else []))) for name in names
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
