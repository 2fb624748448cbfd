"""Runs the 61 audits of the npm package graphql-http against a real server; needs node and npm."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from api.app import create_app
from kg.clock import SystemClock
from tests.api.parts import ontology, platform, sqlite
from tests.api.server import serving

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "audit.mjs")
#: Seconds for fetching two packages, and for the audits.
INSTALL_SECONDS_MAX, AUDIT_SECONDS_MAX = 120, 60


def main() -> int:
    """Install the locked packages in a temporary folder, serve, audit."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        sys.stderr.write("node and npm are needed; install Node.js 20 or later\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            shutil.copy(HERE / name, folder)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        subprocess.run(command, cwd=folder, check=True, timeout=INSTALL_SECONDS_MAX, stdout=sys.stderr)
        words, clock = ontology(), SystemClock()
        store = sqlite(Path(folder) / "graph.db", words, clock)
        with serving(create_app(platform(store, clock, words))) as url:
            audit = ["node", "audit.mjs", f"{url}/graphql"]
            code = subprocess.run(audit, cwd=folder, check=False, timeout=AUDIT_SECONDS_MAX).returncode
        store.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
