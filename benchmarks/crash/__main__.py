"""The crash matrix: `python -m benchmarks.crash [--json] [--no-peers] [--no-server]`; prints a table, writes crash_matrix.json.

Exit code 0 only where no effect of ours was lost or happened twice, and what nobody can know is in doubt. The peers' cells are
shown beside ours and decide nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.crash import matrix, peers
from benchmarks.crash.lives import EFFECTS
from benchmarks.crash.matrix import BOUNDARIES, Cell
from tests.services.server import kept, start, stop

OUT = Path(__file__).resolve().parents[1] / "crash_matrix.json"


def main(arguments: Sequence[str]) -> int:
    """Run every cell, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--no-server", action="store_true", help="leave the half on Neo4j out")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    versions = {"noesis": "this tree"}
    with tempfile.TemporaryDirectory(prefix="noesis-crash-") as name:
        folder = Path(name)
        _say("noesis on SQLite …")
        cells = matrix.embedded(folder)
        if not options.no_server:
            _say("noesis on Neo4j …")
            cells += _on_neo4j(folder)
        if not options.no_peers:
            cells += _peers(folder, versions)
    told = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": versions,
        "seconds": round(time.monotonic() - began),
        "cells": [asdict(cell) for cell in cells],
    }
    OUT.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1) if options.json else table(cells, versions))
    return 1 if wrong(cells) else 0


def _peers(folder: Path, versions: dict[str, str]) -> list[Cell]:
    cells: list[Cell] = []
    try:
        python = peers.environment()
        for peer in peers.NAMES:
            versions[peer] = peers.version(python, peer)
            _say(f"{peer} {versions[peer]} …")
            cells += peers.cells(folder, python, peer)
    except (OSError, subprocess.SubprocessError) as error:
        # Without a package registry there is nothing to compare with; ours are what counts.
        _say(f"the peers did not run: {error}")
    return cells


def _on_neo4j(folder: Path) -> list[Cell]:
    there = kept("neo4j")
    server = there or start("neo4j")
    own = folder / "neo4j"
    own.mkdir()
    try:
        return matrix.on_server(own, server, [(effect, boundary) for effect in EFFECTS for boundary in BOUNDARIES])
    finally:
        if there is None:
            stop(server)


def wrong(cells: Sequence[Cell]) -> list[Cell]:
    """Our cells that break the promise."""
    return [
        cell
        for cell in cells
        if cell.system == "noesis"
        and cell.verdict != "once"
        and not (cell.verdict == "in doubt" and cell.effect == "webhook without key")
    ]


def table(cells: Sequence[Cell], versions: dict[str, str]) -> str:
    """One line a boundary and effect, one column a system and store, then the sums."""
    columns = list(dict.fromkeys((cell.system, cell.store) for cell in cells))
    found = {(cell.system, cell.store, cell.effect, cell.boundary): cell for cell in cells}
    lines = [f"{'killed at':<30}{'effect':<22}" + "".join(f"{f'{system}, {store}':<20}" for system, store in columns)]
    for boundary in BOUNDARIES:
        for effect in EFFECTS:
            row = [found.get((*column, effect, boundary)) for column in columns]
            lines.append(f"{boundary:<30}{effect:<22}" + "".join(f"{_short(cell):<20}" for cell in row))
    lines.append("")
    for system, store in columns:
        own = [cell for cell in cells if (cell.system, cell.store) == (system, store) and cell.verdict != "-"]
        count = {verdict: sum(cell.verdict == verdict for cell in own) for verdict in matrix.VERDICTS}
        sums = ", ".join(f"{name.lower()} {number}" for name, number in count.items())
        killed = sum(cell.killed for cell in own)
        lines.append(
            f"{system} {versions.get(system, '')} on {store}: {sums}; {len(own)} cells, {killed} processes killed"
        )
    return "\n".join(lines)


def _short(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return cell.recorded if cell.verdict == "-" else f"{cell.verdict} ({cell.happened})"


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
