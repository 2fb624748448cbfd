"""A cold copy of a Neo4j server's folder is a backup: stopped, copied, started on the copy, it is the same graph."""

import shutil
from pathlib import Path

from kg.clock import SystemClock
from tests.faults.test_neo4j import cause
from tests.faults.writers import WRITES, writes
from tests.parts import FreeSchema
from tests.services import neo4j, ports
from tests.services.graph import open_store
from tests.services.server import Server, running, start, stop


def test_a_stopped_server_is_copied_and_the_copy_serves(tmp_path: Path) -> None:
    running("neo4j")
    server = start("neo4j", brief=True)
    try:
        store = open_store(FreeSchema(), SystemClock(), server)
        for number in range(3):
            store.commit(writes("kept", number), cause(f"kept-{number}"))
        root = store.head().root
        store.close()
        process = ports.STARTED[server.pid]
        process.terminate()
        process.wait(60)
        shutil.copytree(server.folder, tmp_path / "copy")
        port = ports.free()
        process = neo4j.launch(tmp_path / "copy", port, brief=True)
        copy = Server(
            "neo4j", f"bolt://127.0.0.1:{port}", process.pid, server.user, server.password, str(tmp_path / "copy")
        )
        try:
            neo4j.wait(tmp_path / "copy", process, port, server.user, server.password)
            store = open_store(FreeSchema(), SystemClock(), copy)
            assert store.head().root == root
            assert store.verify() == 3 * WRITES
            assert store.commit(writes("kept", 0), cause("kept-0")).repeated
            assert store.commit(writes("kept", 3), cause("kept-3")).first == 3 * WRITES + 1
            store.close()
        finally:
            stop(copy)
    finally:
        stop(server)
