"""What the probes of the peers share: the effect, and dying at a point. It runs in the peers' environment."""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
import urllib.request
from contextlib import closing
from typing import Any

JOB: dict[str, Any] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}


def say(word: str) -> None:
    """One line to whoever may kill this process now."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def here(point: str) -> None:
    """Wait to be killed where this is the point."""
    if JOB["point"] == point:
        say("here")
        sys.stdin.readline()


def effect() -> None:
    """The step's effect, with the points before and after it; for the point "during" a timer kills while the peer commits."""
    here("before act")
    if JOB["effect"] == "sql":
        with closing(sqlite3.connect(f"{JOB['folder']}/erp.db")) as erp, erp:
            erp.execute("INSERT INTO note (text) VALUES (?)", (JOB["run"],))
    else:
        post()
    acted()


def post() -> None:
    """The call of the HTTP target; its key, where there is one, is what an author can make up: run and step."""
    headers = {"idempotency-key": f"{JOB['run']}-act"} if JOB["effect"] == "webhook" else {}
    body = json.dumps({"run": JOB["run"]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{JOB['port']}/act", body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()


def acted() -> None:
    """The effect happened; the peer has not yet noted it."""
    here("after act")
    if JOB["point"] == "during":
        threading.Thread(target=_die, daemon=True).start()


def _die() -> None:
    time.sleep(JOB["during"])
    os.kill(os.getpid(), signal.SIGKILL)
