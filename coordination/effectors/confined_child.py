"""The child process of `confining`: shuts itself in, then runs one command. It is started as a script and imports only the
library.

Protocol: the order as JSON on standard input; on the descriptor that the first argument names ``{"refused": why}`` where nothing
was begun, and ``{"ended": code}`` at the end. Shut in means: own spaces for files, processes, network and messages; a root that
holds programs and libraries to read, an empty folder to write and nothing else; no privilege; hard limits. It dies with its parent,
and what it started dies with it.
"""

import contextlib
import ctypes
import errno
import json
import os
import platform
import resource
import signal
import sys
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x0002_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
)  # fmt: skip
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 0x1000, 0x4000, 1 << 18
_DETACH = 2
_PDEATHSIG, _SUBREAPER, _NO_NEW_PRIVS = 1, 36, 38
#: Who the command is inside where it has spaces for users of its own.
NOBODY = 65534
#: What of the machine a command may read.
SHOWN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/alternatives")
DEVICES = ("null", "zero", "full", "random", "urandom")
#: Where the command finds itself, and where its script and input stand.
FOLDER, GIVEN = "/box", "/given"
_GIVEN_BYTES = 8_000_000
_INODES = 20_000
#: Rounds in which processes that were left over are killed.
ROUNDS_MAX = 1_000


def main() -> None:
    """Do what the order says."""
    report, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(report, False)
    _with_parent()
    if os.getppid() != parent:
        os._exit(1)
    order = json.loads(sys.stdin.buffer.read())
    with contextlib.suppress(OSError):
        # Where memory runs out these go first.
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        code = _confined(order, report) if order["confined"] else _open(order)
    except OSError as error:
        if not order.get("begun"):
            _tell(report, {"refused": f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"})
        os._exit(1)
    _tell(report, {"ended": code})
    os._exit(0)


def _confined(order: dict[str, Any], report: int) -> int:
    """The command's exit code, run in spaces of its own; where it was not begun, the first process has told so."""
    root = os.geteuid() == 0
    outside, group = os.geteuid(), os.getegid()
    _call("unshare", _NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS | (0 if root else _NEWUSER))
    user = order["user"] if root else NOBODY
    if not root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {outside} 1")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")
        with contextlib.suppress(OSError):
            # No user space inside the user space: less of the kernel to attack.
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
    first = os.fork()
    if first:
        return _shown(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
    try:
        _with_parent()
        _furnish(order, user)
        if root:
            _become(user)
        _with_parent()
        _prctl(_NO_NEW_PRIVS, 1)
        pid = _begin(order, FOLDER, GIVEN)
    except OSError as error:
        _tell(report, {"refused": f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"})
        os._exit(1)
    os._exit(_outlive(pid))


def _open(order: dict[str, Any]) -> int:
    """The command's exit code, run among all other processes, with limits alone."""
    _prctl(_SUBREAPER, 1)
    folder = Path(order["folder"])
    given = folder / "given"
    given.mkdir(mode=0o755)
    box = folder / "box"
    box.mkdir(mode=0o700)
    user = order["user"] if os.geteuid() == 0 else None
    _put_given(order, str(given))
    if user is not None:
        folder.chmod(0o755)
        os.chown(box, user, user)
    _children()
    pid = _begin(order, str(box), str(given), user)
    order["begun"] = True
    signal.signal(signal.SIGTERM, lambda *_: _end(pid))
    code = _outlive(pid)
    _sweep()
    return code


def _sweep() -> None:
    """Kill what the command left behind: whoever loses its parent becomes ours."""
    for _ in range(ROUNDS_MAX):
        for child in _children():
            _end(child)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    me = os.getpid()
    return [int(child) for child in Path(f"/proc/{me}/task/{me}/children").read_text().split()]


def _furnish(order: dict[str, Any], user: int) -> None:
    """A root of our own: what may be read, and one empty folder; the old root is gone afterwards."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no change of root is known on {platform.machine()}")
    root = order["folder"]
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, f"size={_GIVEN_BYTES},mode=0755")
    for path in (*SHOWN, *order["show"]):
        _show(root, path)
    for name in DEVICES:
        _show(root, f"/dev/{name}")
    _put_given(order, root + GIVEN)
    box = root + FOLDER
    os.mkdir(box)
    os.symlink(FOLDER, f"{root}/tmp")  # noqa: S108 -- of its own root
    said = f"size={order['folder_bytes']},nr_inodes={_INODES},mode=0700,uid={user},gid={user}"
    _mount("tmpfs", box, "tmpfs", _NOSUID | _NODEV, said)
    _mount("none", root, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    os.chdir(root)
    if _LIBC.syscall(number, b".", b".") != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def _show(root: str, path: str) -> None:
    """A path of the machine at the same place below our root, to be read."""
    place = Path(root + path)
    if not os.path.lexists(path) or os.path.lexists(place):
        return
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if os.path.islink(path):
        place.symlink_to(os.readlink(path))
        return
    if os.path.isdir(path):
        place.mkdir(mode=0o755)
    else:
        place.touch()
    _mount(path, str(place), None, _BIND | _REC)
    if not path.startswith("/dev/"):
        _mount("none", str(place), None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _put_given(order: dict[str, Any], place: str) -> None:
    os.makedirs(place, exist_ok=True)
    for name, text in order["given"].items():
        file = Path(place, name)
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        file.chmod(0o644)


def _begin(order: dict[str, Any], folder: str, given: str, user: int | None = None) -> int:
    """Start the command; its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.chdir(folder)
        os.dup2(os.open(f"{given}/stdin", os.O_RDONLY), 0)
        os.closerange(3, 1 << 16)
        _limit(order)
        if user is not None:
            _become(user)
        _with_parent()
        _prctl(_NO_NEW_PRIVS, 1)
        command = [part.replace("{given}", given) for part in order["command"][: order["own"]]]
        os.execve(command[0], [*command, *order["command"][order["own"] :]], order["environment"])  # noqa: S606 -- what is run is the effect
    except (OSError, ValueError) as error:
        os.write(2, f"{order['command'][0]} cannot be started: {error}\n".encode())
    os._exit(127)


def _limit(order: dict[str, Any]) -> None:
    limits = {
        resource.RLIMIT_AS: order["memory_bytes"],
        resource.RLIMIT_CPU: order["cpu_seconds"],
        resource.RLIMIT_NPROC: order["processes"],
        resource.RLIMIT_FSIZE: order["file_bytes"],
        resource.RLIMIT_NOFILE: order["files"],
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _outlive(pid: int) -> int:
    """The command's exit code; orphans are taken in until then, and where we are the first of a space all end with us."""
    while True:
        done, status = os.waitpid(-1, 0)
        if done == pid:
            return _shown(os.waitstatus_to_exitcode(status))


def _shown(code: int) -> int:
    """An exit code as shells tell it: 128 and the signal where one ended it."""
    return 128 - code if code < 0 else code


def _with_parent() -> None:
    _prctl(_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    _call("prctl", option, value, 0, 0, 0)


def _mount(source: str, place: str, kind: str | None, flags: int, data: str = "") -> None:
    _call("mount", source.encode(), place.encode(), kind.encode() if kind else None, flags, data.encode() or None)


def _call(name: str, *arguments: Any) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _tell(report: int, what: dict[str, Any]) -> None:
    os.write(report, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
