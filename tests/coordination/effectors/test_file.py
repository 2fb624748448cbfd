"""File effects: whole or not at all, only below the root, told by key, and put back unless somebody changed them."""

import os
from pathlib import Path
from typing import Any

import pytest

from coordination.effectors import file as module
from coordination.effectors.effector import Receipt
from coordination.effectors.file import File
from coordination.errors import GiveUp
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


@pytest.mark.parametrize("act", ["write", "restore", "remove"])
def test_whatever_call_it_dies_at_it_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    """Each system call that changes something is the last of its life once; after that it goes on and ends right."""

    class Gone(BaseException):
        pass

    for die_at in range(60):
        root = tmp_path / str(die_at)
        root.mkdir()
        if act == "restore":
            (root / "a.txt").write_text("old")
        if act != "write":
            write(root, "a.txt", "new", "first")
        payload = {"path": "a.txt", "text": "new"} if act == "write" else {"restore": "first"}
        calls = 0

        def dying(name: str, root: Path = root, at: int = die_at) -> Any:
            real = getattr(os, name)

            def call(*args: Any, **more: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > at:
                    raise Gone
                return real(*args, **more)

            return call

        with monkeypatch.context() as patch:
            for name in ("rename", "unlink", "fsync"):
                patch.setattr(module.os, name, dying(name))
            try:
                File(root).act(effect(payload))
                survived = True
            except Gone:
                survived = False
        happened = (root / "a.txt").exists() and (root / "a.txt").read_text() == "new"
        known = File(root).look_up(effect(payload)) is not None
        if act == "write":
            assert known == happened, f"dying at {die_at}"
        File(root).act(effect(payload))
        there = (root / "a.txt").read_text() if (root / "a.txt").exists() else None
        assert there == {"write": "new", "restore": "old", "remove": None}[act], f"dying at {die_at}"
        assert File(root).look_up(effect(payload)) is not None
        if survived:
            assert die_at > 5
            return
    raise AssertionError("it never survived")


def test_the_twin_writes_nothing(tmp_path: Path) -> None:
    assert File(tmp_path / "root").simulate(effect({"path": "a", "text": "abc"})).detail == {
        "would": {"path": "a", "bytes": 3}
    }
    assert not (tmp_path / "root").exists()
