"""Processes that sign one ledger at once: the one asked for comes after the other, and a key that is being handed over is found."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api import checkpointing
from api.bootstrap import build
from api.cli.main import app
from api.platform import Noesis
from api.settings import load_settings
from governance.principals import Principal
from governance.rules import add
from kg import checkpoints, signing
from kg.errors import ConflictError

BY = "Service::test"
ALL = '@id("admin-all") permit(principal in Role::"admin", action, resource);'


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Noesis]:
    with closing(build(load_settings(project=tmp_path, durable=False))) as built:
        yield built


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, other: Callable[[], object], turn: int = 1
) -> None:
    """Have another process do something once, just after the one at hand came past this place so many times."""
    real, passed = getattr(place, name), [0]

    def late(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        passed[0] += 1
        if passed[0] == turn:
            monkeypatch.setattr(place, name, real)
            other()
        return found

    monkeypatch.setattr(place, name, late)


@pytest.mark.parametrize(("place", "turn"), [("keys", 1), ("keys", 2), ("write_note", 1)])
def test_two_that_sign_at_once_sign_one_after_the_other_with_one_key(
    platform: Noesis, monkeypatch: pytest.MonkeyPatch, place: str, turn: int
) -> None:
    meanwhile(monkeypatch, checkpoints, place, lambda: checkpointing.make(platform, BY, "the other"), turn)
    checkpointing.make(platform, BY, "this one")
    assert len(checkpoints.keys(platform.store)) == 1
    assert checkpoints.verify_all(platform.store, platform.evidence, checkpointing.anchor_of(platform)) == 2


def test_who_signs_by_itself_leaves_a_moment_to_another(platform: Noesis, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, checkpoints, "write_note", lambda: checkpointing.make(platform, BY, "the other"))
    with pytest.raises(ConflictError):
        checkpointing.once(platform, BY, "this one")
    assert len(list(checkpoints.stored(platform.store))) == 1


def test_a_key_that_hands_over_meanwhile_signs_nothing_more(platform: Noesis, monkeypatch: pytest.MonkeyPatch) -> None:
    old = checkpointing.signer_of(platform)
    new = signing.signer(old.name, signing.make_key())
    checkpoints.introduce(platform.store, platform.clock, old, BY)
    meanwhile(
        monkeypatch,
        checkpoints,
        "write_note",
        lambda: checkpoints.rotate(platform.store, platform.clock, old, new, BY),
    )
    with pytest.raises(ConflictError):
        checkpointing.once(platform, BY, "with the old key")
    assert not list(checkpoints.stored(platform.store))


def test_a_process_that_sees_the_next_key_first_puts_it_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(build(load_settings(home=tmp_path))) as first:
        add(first.store, first.clock, first.ontology, ALL, Principal("Service", "test"), "a test needs it")
        checkpointing.make(first, BY, "before")

    def serving() -> None:
        with closing(build(load_settings(home=tmp_path))) as other:
            checkpointing.make(other, "Service::operator", "so many changes")

    meanwhile(monkeypatch, checkpoints, "rotate", serving)
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "checkpoint", "rotate"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with closing(build(load_settings(home=tmp_path))) as platform:
        (_, _), (_, new) = checkpoints.keys(platform.store)
        assert checkpointing.signer_of(platform).public == new
        assert not checkpointing.next_path(checkpointing.key_path(platform)).exists()


def test_the_next_key_that_another_takes_over_is_found_in_its_place(
    platform: Noesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, path = checkpointing.signer_of(platform), checkpointing.key_path(platform)
    new = signing.signer(old.name, signing.key_file(checkpointing.next_path(path)))
    checkpoints.rotate(platform.store, platform.clock, old, new, BY)
    meanwhile(monkeypatch, Path, "exists", lambda: os.replace(checkpointing.next_path(path), path))
    assert checkpointing.signer_of(platform).public == new.public
