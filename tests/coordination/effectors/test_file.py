"""File effects: whole or not at all, only below the root, told by key, and put back unless somebody changed them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coordination.effectors import file as module
from coordination.effectors.effector import Receipt
from coordination.effectors.file import File
from coordination.errors import GiveUp, RetryLater
from tests.coordination.effectors.parts import effect


def write(root: Path, path: str, text: str = "new", key: str = "key1") -> Receipt:
    return File(root).act(effect({"path": path, "text": text}, key))


def undo(root: Path, key: str, mine: str = "undo1") -> Receipt:
    made = File(root).compensation(effect({"path": "x", "text": ""}, key), Receipt())
    assert made is not None
    return File(root).act(effect(made.payload, mine, made.operation))


def test_it_writes_once_and_is_found_by_key(tmp_path: Path) -> None:
    file = File(tmp_path)
    assert file.look_up(effect({"path": "a/b.txt", "text": "one"})) is None
    receipt = write(tmp_path, "a/b.txt", "one")
    assert (tmp_path / "a" / "b.txt").read_text() == "one"
    (tmp_path / "a" / "b.txt").write_text("changed by somebody")
    assert write(tmp_path, "a/b.txt", "one") == receipt == file.look_up(effect({"path": "a/b.txt", "text": "one"}))
    assert (tmp_path / "a" / "b.txt").read_text() == "changed by somebody", "the same key acts once"


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/x",
        "a/../../x",
        "a/..",
        "",
        ".",
        ".noesis/key1.json",
        "a\x00b",
        "..\\x",
        "a" * 300,
        "/".join("x" * 40),
        None,
    ],
)
def test_no_path_leads_out(tmp_path: Path, path: Any) -> None:
    root = tmp_path / "root"
    for call in (File(root).act, File(root).simulate):
        with pytest.raises(GiveUp):
            call(effect({"path": path, "text": "x"}))
    assert not (tmp_path / "x").exists()


def test_no_link_leads_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (tmp_path / "outside").mkdir()
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "file").symlink_to(tmp_path / "outside" / "y")
    with pytest.raises(GiveUp, match="link"):
        write(root, "link/x")
    with pytest.raises((GiveUp, OSError)):
        write(root, "file", key="key2")
    assert not list((tmp_path / "outside").iterdir())


def test_what_was_there_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    write(tmp_path, "a.txt")
    write(tmp_path, "fresh.txt", key="key2")
    undo(tmp_path, "key1")
    undo(tmp_path, "key2", "undo2")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert not (tmp_path / "fresh.txt").exists()
    assert undo(tmp_path, "key2", "undo2").detail["removed"] is True, "undone by the same key once"


def test_what_somebody_changed_is_not_put_back(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    (tmp_path / "a.txt").write_text("mine now")
    with pytest.raises(GiveUp, match="changed since"):
        undo(tmp_path, "key1")
    with pytest.raises(GiveUp, match="knows no effect"):
        undo(tmp_path, "nokey")
    assert (tmp_path / "a.txt").read_text() == "mine now"


class Gone(BaseException):
    """The process ends here."""


def dying(at: int) -> Any:
    """System calls that change something, of which the one after `at` others is the end."""
    calls = iter(range(at))

    def wrapped(real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            if next(calls, None) is None:
                raise Gone
            return real(*args, **more)

        return call

    return wrapped


def test_effects_on_one_file_at_once_come_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS_MAX", 0.0)
    (tmp_path / "a.txt").write_text("old")
    read = module._read

    def late(folder: int, name: str) -> bytes | None:
        found = read(folder, name)
        if name == "a.txt":
            monkeypatch.setattr(module, "_read", read)
            with pytest.raises(RetryLater, match="another effect"):
                write(tmp_path, "a.txt", "two", "key2")
        return found

    monkeypatch.setattr(module, "_read", late)
    write(tmp_path, "a.txt", "one")
    write(tmp_path, "a.txt", "two", "key2")
    undo(tmp_path, "key2")
    assert (tmp_path / "a.txt").read_text() == "one"
    undo(tmp_path, "key1", "undo2")
    assert (tmp_path / "a.txt").read_text() == "old"


def prepared(root: Path, act: str) -> dict[str, Any]:
    """A folder as it is before the act, and the act's payload."""
    root.mkdir()
    if act == "write":
        return {"path": "a.txt", "text": "new"}
    if act == "restore":
        (root / "a.txt").write_text("old")
    write(root, "a.txt", "new", "first")
    return {"restore": "first"}


@pytest.mark.parametrize(("act", "end"), [("write", "new"), ("restore", "old"), ("remove", None)])
def test_whatever_call_it_dies_at_it_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, end: str | None
) -> None:
    for at in range(60):
        root = tmp_path / str(at)
        order = effect(prepared(root, act))
        with monkeypatch.context() as patch:
            wrapped = dying(at)
            for name in ("rename", "unlink", "fsync"):
                patch.setattr(module.os, name, wrapped(getattr(os, name)))
            with suppress(Gone):
                File(root).act(order)
                break
        there = (root / "a.txt").read_text() if (root / "a.txt").exists() else None
        if act != "remove":
            assert (File(root).look_up(order) is not None) == (there == end), (
                f"it does not know what it did before {at}"
            )
        File(root).act(order)
        assert ((root / "a.txt").read_text() if (root / "a.txt").exists() else None) == end, f"dying at {at}"
        assert File(root).look_up(order) is not None
    assert 5 < at < 59


def test_the_twin_writes_nothing(tmp_path: Path) -> None:
    assert File(tmp_path / "root").simulate(effect({"path": "a", "text": "abc"})).detail == {
        "would": {"path": "a", "bytes": 3}
    }
    assert not (tmp_path / "root").exists()
