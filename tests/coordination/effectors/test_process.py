"""Processes: hostile commands and scripts, each of which must end, leave nothing behind and see nothing of ours."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from coordination.effectors import confining
from coordination.effectors.confining import OUTPUT_MAX, Bounds, Command
from coordination.effectors.process import Process, ProcessSettings
from coordination.errors import EffectorError, GiveUp
from tests.coordination.effectors.parts import effect

BOUNDS = Bounds(seconds=10, memory_bytes=256_000_000, cpu_seconds=10, processes=24, folder_bytes=2_000_000)
NODE = shutil.which("node") or ""


def ran(payload: Mapping[str, Any], **bounds: Any) -> Any:
    settings = ProcessSettings(
        Bounds(**{name: getattr(BOUNDS, name) for name in BOUNDS.__slots__} | bounds), False, NODE
    )
    return Process(settings).act(effect(payload)).detail


def shell(command: str, bounds: Mapping[str, Any] | None = None, **more: Any) -> Any:
    return ran({"run": "shell", "command": command, **more}, **(bounds or {}))


def python(code: str, **more: Any) -> Any:
    return ran({"run": "script", "language": "python", "code": code, **more})


def processes(word: str) -> list[str]:
    """Command lines of this machine that hold a word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


def test_arguments_environment_and_input_arrive_and_the_result_is_whole() -> None:
    given = {"arguments": ["Foo", "$(id) b"], "environment": {"WHO": "a;b", "N": 3}, "stdin": {"n": 1}}
    found = shell('cat; echo; echo "$1|$2|$WHO|$N"; echo oh >&2; exit 7', **given)
    assert found == {"code": 7, "stdout": '{"n":1}\nFoo|$(id) b|a;b|3\n', "stderr": "oh\n"}
    found = python("import sys; print(sys.argv[1:], sys.stdin.read())", arguments=["x"], stdin="é")
    assert (found["code"], found["stdout"]) == (0, "['x'] é\n")


@pytest.mark.skipif(not NODE, reason="no node on this machine")
def test_javascript_runs_as_the_reference_shows() -> None:
    code = "const [_, __, arg0, arg1] = process.argv;\nconsole.log('arg > ', arg0, arg1)"
    found = ran({"run": "script", "language": "js", "code": code, "arguments": ["hello", "world"]})
    assert (found["stdout"], found["code"]) == ("arg >  hello world\n", 0)


def test_it_sees_nothing_of_our_environment_and_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOESIS_SECRETS", '{"token": "s3cret-of-ours"}')
    (tmp_path / "file").write_text("s3cret-of-ours")
    home = Path(__file__).parents[3]
    found = shell(
        f"env; cat /proc/*/environ /proc/self/environ; cat {tmp_path}/file {home}/README.md; ls {home} /home; ls /"
    )
    assert "s3cret-of-ours" not in found["stdout"] + found["stderr"]
    assert "Noesis" not in found["stdout"]
    shown = {"bin", "box", "dev", "etc", "given", "lib", "lib32", "lib64", "libx32", "sbin", "tmp", "usr"}
    assert set(found["stdout"].split()) <= {"PWD=/box", *shown}


def test_no_descriptor_of_ours_is_open() -> None:
    code = "import os\nfor n in range(3, 1000):\n  try: os.fstat(n); print(n)\n  except OSError: pass\n"
    read, write = os.pipe()
    try:
        os.set_inheritable(write, True)
        # What Python itself opens is the script while it reads it, and nothing else.
        assert python(code)["stdout"].split() in ([], ["3"])
    finally:
        os.close(read)
        os.close(write)


def test_a_fork_bomb_gets_no_more_than_its_processes_and_ends() -> None:
    found = shell("f() { f | f & }; f; sleep 30", {"seconds": 2})
    assert "stopped" in found or "Cannot fork" in found["stderr"]
    assert not processes("f() { f | f & }")


def test_memory_is_bounded() -> None:
    assert "MemoryError" in python("x = bytearray(1_000_000_000)")["stderr"]


def test_endless_output_is_stopped_and_held_within_its_bound() -> None:
    for where in ("", ">&2"):
        found = shell(f"yes {where}")
        assert found["stopped"] == "output"
        assert len(found["stdout"]) + len(found["stderr"]) <= OUTPUT_MAX


def test_an_endless_loop_is_stopped() -> None:
    assert shell("while :; do :; done", {"seconds": 1})["stopped"] == "deadline"
    assert shell("trap '' TERM INT HUP; while :; do :; done", {"seconds": 1})["stopped"] == "deadline"
    assert shell("while :; do :; done", {"cpu_seconds": 1})["code"] == 128 + 9


def test_a_tasks_own_time_is_shorter_never_longer() -> None:
    assert shell("sleep 30", seconds=0.5)["stopped"] == "deadline"
    assert shell("sleep 30", {"seconds": 1}, seconds=60)["stopped"] == "deadline"


def test_it_cannot_kill_who_started_it() -> None:
    found = shell("kill -9 $PPID; kill -9 1; kill -9 -1; echo still here", environment={"US": str(os.getpid())})
    assert found["stdout"] == "still here\n"
    assert "No such process" in shell(f"kill -9 {os.getpid()}")["stderr"]


def test_it_writes_into_its_folder_alone_and_not_without_end(tmp_path: Path) -> None:
    found = shell(f"touch /x /usr/x /given/x /etc/x {tmp_path}/x; echo 1 > mine; cat mine; ls /box")
    assert found["stdout"] == "1\nmine\n"
    assert found["stderr"].count("\n") == 5
    assert not list(tmp_path.iterdir())
    assert not Path("/x").exists()
    full = shell("for n in 1 2 3 4; do dd if=/dev/zero of=f$n bs=1000000 count=1; done")
    assert "No space left" in full["stderr"]


def test_there_is_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        found = python(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)")
        assert "OSError" in found["stderr"] or "unreachable" in found["stderr"]
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_daemon_outlives_it() -> None:
    word = f"{os.getpid()}7654"
    found = shell(f"setsid sleep {word} >/dev/null 2>&1 & (setsid nohup sleep {word} &) ; echo on")
    assert (found["code"], found["stdout"]) == (0, "on\n")
    assert not processes(word)


def test_it_has_no_privilege_and_gets_none() -> None:
    found = shell("id -u; mount -t tmpfs none /box; chroot / true; unshare -m true; su -c id 2>&1 | tail -1")
    assert found["stdout"].split("\n")[0] != "0"
    assert "uid=0" not in found["stdout"]
    assert len(found["stderr"].splitlines()) >= 3


def test_killing_the_one_who_waits_ends_it_too() -> None:
    word = f"{os.getpid()}8765"
    text = (
        "from coordination.effectors.confining import *\n"
        f"run(Command(['/bin/sh', '-c', 'echo begun >&2; sleep {word}; true'], 1), Bounds(seconds=60))\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], cwd=Path(__file__).parents[3]) as waiting:
        while not processes(f"sleep {word}") and waiting.poll() is None:
            pass
        waiting.kill()
        waiting.wait()
        while processes(f"sleep {word}"):
            pass
    assert not processes(word)


def refusing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A child that cannot have spaces of its own, as on a machine that permits none."""
    child = confining._CHILD.read_text().replace(
        '_call("unshare", ', 'raise OSError(1, "not permitted")\n    _call("unshare", '
    )
    place = tmp_path / "child.py"
    place.write_text(child)
    monkeypatch.setattr(confining, "_CHILD", place)


def test_where_it_cannot_be_shut_in_it_is_not_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing(monkeypatch, tmp_path)
    with pytest.raises(GiveUp, match=r"cannot shut a process in .*not permitted.*unconfined = true"):
        shell("echo x")


def test_who_accepts_limits_alone_gets_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing(monkeypatch, tmp_path)
    word = f"{os.getpid()}9876"

    def run(command: str, seconds: float = 10) -> confining.Ended:
        limits = Bounds(seconds=seconds, processes=500, cpu_seconds=10)
        return confining.run(Command(["/bin/sh", "-c", command, "sh"], 1, {"A": "b"}, "in"), limits, unconfined=True)

    found = run("cat; echo $A; pwd; env")
    assert (found.code, found.stdout.split("\n")[0]) == (0, "inb")
    assert "NOESIS" not in found.stdout
    assert "PATH=" not in found.stdout
    found = run(f"setsid sleep {word} & (setsid sleep {word} &); echo on")
    assert (found.code, found.stdout) == (0, "on\n")
    found = run(f"setsid sleep {word} & (setsid sleep {word} &); sleep 30", 1)
    assert found.stopped == "deadline"
    assert not processes(word)


def test_a_watcher_that_is_gone_leaves_doubt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "child.py"
    place.write_text("import sys\nsys.stdin.read()\n")
    monkeypatch.setattr(confining, "_CHILD", place)
    with pytest.raises(EffectorError, match="nobody knows how far it came"):
        shell("echo x")


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"run": "container"}, "shell or as script"),
        ({"run": "shell"}, "names its command"),
        ({"run": "shell", "command": "x" * 100_001}, "100,001 characters"),
        ({"run": "shell", "command": "a\0b"}, "NUL"),
        ({"run": "shell", "command": "x", "environment": {"A=B": "x"}}, "cannot name a variable"),
        ({"run": "shell", "command": "x", "environment": ["A"]}, "is an object"),
        ({"run": "shell", "command": "x", "arguments": {"a": 1}}, "are a list"),
        ({"run": "shell", "command": "x", "stdin": "x" * 1_000_001}, "1,000,001 characters"),
        ({"run": "script", "language": "cobol", "code": "x"}, "'cobol' are not run"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_remedy(payload: Mapping[str, Any], said: str) -> None:
    for call in (Process().act, Process().simulate):
        with pytest.raises(GiveUp, match=said):
            call(effect(payload))


def test_without_node_a_script_in_javascript_is_refused() -> None:
    with pytest.raises(GiveUp, match="no node here"):
        Process().act(effect({"run": "script", "language": "js", "code": "1"}))
