"""Measures a peer: runs a script of this folder in the peers' own environment and takes its one line of JSON."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
SECONDS_MAX: Final = 300.0


def measure(script: str, *arguments: str) -> dict[str, Any]:
    """What the script printed; raises CalledProcessError where it failed."""
    from benchmarks.crash.peers import environment

    command = [str(environment()), str(HERE / script), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS_MAX)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
