"""A server that is kept up is noted whole or not at all, and by one process at a time."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import server


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that stand for servers; the folder of what is kept is this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> server.Server:
        processes.append(process := subprocess.Popen(["tail", "-f", "/dev/null"], start_new_session=True))
        monkeypatch.setitem(server.ports.STARTED, process.pid, process)
        return server.Server(name, "redis://127.0.0.1:1", process.pid, "", "secret", str(tmp_path / "data"))

    monkeypatch.setattr(server, "start", start)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_a_server_is_kept_until_it_is_stopped(started: list[subprocess.Popen[bytes]]) -> None:
    first = server.keep("redis")
    assert server.keep("redis") == server.kept("redis") == first
    assert len(started) == 1
    assert stat.S_IMODE((server.cache() / "redis.json").stat().st_mode) == 0o600
    assert server.forget("redis")
    assert server.kept("redis") is None
    assert started[0].wait() != 0


def test_a_note_that_cannot_be_written_leaves_neither_half_a_note_nor_a_server(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> int:
        with path.open("w") as file:
            file.write(text[: len(text) // 2])
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            server.keep("redis")
    assert server.kept("redis") is None
    assert not [path for path in server.cache().iterdir() if path.name.startswith("redis.json")]
    assert started[0].wait() != 0
