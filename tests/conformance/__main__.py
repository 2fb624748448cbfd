"""Runs outside suites against the platform: all, or the one named. Each prints `name: passed/total` last."""

import importlib
import sys

SUITES = {
    "cedar": "tests.conformance.cedar_corpus",
    "graphql-http": "tests.conformance.graphql_http.__main__",
    "open-workflow": "tests.conformance.workflow_ctk",
}


def main(names: list[str]) -> int:
    """The worst exit code of the suites run; 2 for an unknown name."""
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        sys.stderr.write(f"there is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}\n")
        return 2
    return max(int(importlib.import_module(SUITES[name]).main()) for name in names or SUITES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
