"""Runs every benchmark module: `python -m benchmarks [--only name] [--json]`; prints a table and writes benchmarks/results.json."""

import argparse
import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.result import Result

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """The benchmarks by name: the modules bench_<name>.py."""
    return sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py"))


def table(results: list[Result]) -> str:
    """The results as text, one line each."""
    lines = [f"{'work':<44} {'ours':>12} {'unit':<16} {'peer':>12} {'ratio':>7}  bar"]
    for one in results:
        peer = f"{one.peer_value:,.1f}" if one.peer_value is not None else "-"
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else "-"
        state = "met" if one.met else "NOT MET"
        lines.append(f"{one.name:<44} {one.ours:>12,.1f} {one.unit:<16} {peer:>12} {ratio:>7}  {one.target}: {state}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run and print; a missed bar leaves the exit code 0, since a slow machine is no fault of the code; a failed run does not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"one of {', '.join(names())}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    if options.only and options.only not in names():
        print(f"there is no benchmark {options.only!r}; choose one of {', '.join(names())}", file=sys.stderr)
        return 2
    results: list[Result] = []
    failed: list[str] = []
    for name in [options.only] if options.only else names():
        print(f"running {name} …", file=sys.stderr)
        try:
            results += importlib.import_module(f"benchmarks.bench_{name}").run()
        except Exception as error:
            # One benchmark that cannot run (its data absent, say) must not cost the figures of the others.
            failed.append(name)
            print(f"{name} did not run: {type(error).__name__}: {error}", file=sys.stderr)
    path = HERE / "results.json"
    kept: list[dict[str, object]] = []
    if options.only and path.exists():
        fresh = {one.name for one in results}
        kept = [row for row in json.loads(path.read_text()) if row["name"] not in fresh]
    rows = kept + [asdict(one) for one in results]
    path.write_text(json.dumps(rows, indent=1) + "\n")
    if options.json:
        print(json.dumps([asdict(one) for one in results], indent=1))
    else:
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(table(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
