"""Neo4j Community from its jars: fetched once from Maven Central into the user's cache, run by a small launcher."""

import hashlib
import secrets
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.services import ports
from tests.services.server import Server, cache, install

HERE = Path(__file__).resolve().parent
FETCH_SECONDS_MAX = 600
_OPENS = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.nio", "java.io", "sun.nio.ch")]


def jars() -> Path:
    """The folder of the jars; fetched where they are not there yet."""
    version = (HERE / "pom.xml").read_text().split("<version>5")[1].split("<")[0]
    folder = cache() / f"neo4j-5{version}"
    if not (folder / "complete").exists():
        if shutil.which("java") is None:
            install("openjdk-17-jdk-headless")
        if shutil.which("mvn") is None:
            install("maven")
        subprocess.run(
            ["mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
            check=True,
            timeout=FETCH_SECONDS_MAX,
        )
        (folder / "complete").touch()
    return folder


def launcher() -> Path:
    """The folder of the compiled launcher, compiled anew where its text changed."""
    text = (HERE / "Neo4jServer.java").read_bytes()
    folder = cache() / f"launcher-{hashlib.sha256(text + jars().name.encode()).hexdigest()[:16]}"
    if not folder.exists():
        made = Path(tempfile.mkdtemp(dir=cache()))
        command = ["javac", "-cp", f"{jars()}/*", "-d", made, HERE / "Neo4jServer.java"]
        subprocess.run(command, check=True, timeout=FETCH_SECONDS_MAX)
        # Of two test runs that compile it at once the first wins.
        with suppress(OSError):
            made.rename(folder)
    return folder


def launch(folder: Path, port: int, log_mebibytes: int = 256, *, brief: bool = False) -> "subprocess.Popen[bytes]":
    """Start the server on a folder that may hold a graph already; a log of transactions takes its whole size at once.

    One that will not live long is `brief`: it does not compile its own code as far as that can go, which costs 40 % less to start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-Xms512m", "-Xmx1g", "-XX:+UseSerialGC", *(["-XX:TieredStopAtLevel=1"] if brief else [])]
    place = ["-cp", f"{launcher()}:{jars()}/*", "Neo4jServer", str(folder), str(port), str(log_mebibytes)]
    return ports.launch(["java", *options, *_OPENS, *place], folder / "server.log")


def wait(folder: Path, process: "subprocess.Popen[bytes] | None", port: int, user: str, password: str) -> None:
    """Return when the server answers a query."""
    from neo4j import GraphDatabase
    from neo4j.exceptions import DriverError, Neo4jError

    def ready() -> bool:
        if not ports.listens(port):
            return False
        try:
            with GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=(user, password)) as driver:
                driver.execute_query("RETURN 1")
        except (DriverError, Neo4jError):
            return False
        return True

    ports.until(ready, process, folder / "server.log")


def start(folder: Path, log_mebibytes: int = 256, *, brief: bool = False) -> Server:
    """A new server with a password of its own."""
    from neo4j import GraphDatabase
    from neo4j.exceptions import DriverError, Neo4jError

    port, password = ports.free(), secrets.token_urlsafe(18)
    process = launch(folder, port, log_mebibytes, brief=brief)

    def ready() -> bool:
        if not ports.listens(port):
            return False
        try:
            # The first login is only good for changing its password.
            with (
                GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("neo4j", "neo4j")) as driver,
                driver.session(database="system") as session,
            ):
                change = "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password"
                session.run(change, password=password).consume()
        except (DriverError, Neo4jError):
            return False
        return True

    ports.until(ready, process, folder / "server.log")
    wait(folder, process, port, "neo4j", password)
    return Server("neo4j", f"bolt://127.0.0.1:{port}", process.pid, "neo4j", password, str(folder))
