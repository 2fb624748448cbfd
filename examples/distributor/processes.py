"""Real processes of Noesis beside the story: `noesis serve` and `noesis work`, started, killed and ended as an operator would.

Invariant: every process started here is ended when the story ends, also by Ctrl-C or a failure.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
#: Seconds in which something must move: a process says that it is ready or ends, work in the graph gets done.
PATIENCE_S = 300.0
#: Between two looks; looking costs whoever is at work.
LOOK_S = 0.25


class StoryError(Exception):
    """Something of the story did not come about in time."""


@dataclass(slots=True)
class Process:
    """One running `noesis` command; what it says goes to a log file beside the graph."""

    popen: subprocess.Popen[bytes]
    log: Path

    def said(self, words: str) -> str | None:
        """The first line of the log that holds these words."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in lines if words in line), None)


@dataclass(slots=True)
class Processes:
    """Starts and ends the processes of one project."""

    project: Path
    #: Settings that every process gets beside the project's own.
    settings: Mapping[str, str] = field(default_factory=dict)
    running: list[Process] = field(default_factory=list)

    def start(self, *arguments: str, until: str) -> tuple[Process, str]:
        """Start `noesis ARGUMENTS` and wait until it says something; the process and the line."""
        log = self.project / f"{arguments[0]}-{len(self.running) + 1}.log"
        command = [sys.executable, "-m", "api.cli", "--project", str(self.project), *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NOESIS_")}
        environment |= {f"NOESIS_{name.upper()}": value for name, value in self.settings.items()}
        with log.open("wb") as out:
            popen = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment)
        process = Process(popen, log)
        self.running.append(process)

        def ready() -> str | None:
            if popen.poll() is not None:
                raise StoryError(f"noesis {arguments[0]} ended at once; see {log}")
            return process.said(until)

        return process, wait_for(ready, f"noesis {arguments[0]}")

    def kill(self, process: Process) -> None:
        """End a process the hard way (SIGKILL): it cannot clean up."""
        process.popen.send_signal(signal.SIGKILL)
        process.popen.wait(PATIENCE_S)

    def end(self) -> bool:
        """Ask every process to end (SIGTERM) and wait; whether each ended by itself with exit code 0."""
        alive = [process for process in self.running if process.popen.poll() is None]
        for process in alive:
            process.popen.send_signal(signal.SIGTERM)
        clean = True
        for process in alive:
            try:
                clean = process.popen.wait(20) == 0 and clean
            except subprocess.TimeoutExpired:
                process.popen.kill()
                clean = False
        return clean


def wait_for(
    look: Callable[[], T | None], what: str, moved: Callable[[], object] = lambda: None, seconds: float = PATIENCE_S
) -> T:
    """Look again and again until there is something; StoryError where `moved` stayed the same for `seconds`.

    So a slow machine takes its time, and one on which nothing goes on is not waited for.
    """
    last, deadline = moved(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(LOOK_S)
        if (now := moved()) != last:
            last, deadline = now, time.monotonic() + seconds
    raise StoryError(f"{what} did not come about, and nothing moved for {seconds:.0f} s")


def graphql(url: str, query: str, key: str, **variables: Any) -> dict[str, Any]:
    """Ask the GraphQL API with an API key; StoryError where it answers with errors."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    if answer.get("errors"):
        raise StoryError(f"GraphQL: {answer['errors'][0]['message']}")
    data: dict[str, Any] = answer["data"]
    return data
