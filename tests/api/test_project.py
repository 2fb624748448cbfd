"""A project that is set up twice at the same moment is set up once, and both who did it hear so."""

from pathlib import Path
from typing import Any

import pytest

from api.bootstrap import open_store
from api.cli.main import run
from api.project import prepare
from api.settings import load_settings
from kg.clock import SystemClock
from kg.committer import Committer
from kg.errors import ConflictError
from kg.model import Put

PEOPLE = "roles: [{ name: staff, label: Staff }]\nusers: [{ name: anna, label: Anna, roles: [staff] }]\n"
RULE = '@id("{0}") permit (principal in Role::"staff", action == Action::"read", resource);\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOESIS_PROJECT", str(tmp_path))
    (tmp_path / "shop.ttl").write_text(
        "@prefix : <urn:s#> . @prefix n: <urn:noesis:ns#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
        "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
        ':Item a owl:Class, sh:NodeShape ; n:key "sku" ; sh:property [ sh:path :sku ; sh:datatype xsd:string ] .\n'
    )
    (tmp_path / "people.yaml").write_text(PEOPLE)
    (tmp_path / "rules").mkdir()
    for name in ("one", "two"):
        (tmp_path / "rules" / f"{name}.cedar").write_text(RULE.format(name))
    (tmp_path / "noesis.toml").write_text('ontology = ["shop.ttl"]\npeople = "people.yaml"\nrules = "rules"\n')
    return tmp_path


@pytest.mark.parametrize("cls", ["User", "Role", "Rule", "Control"])
def test_another_set_up_in_the_middle_of_one_is_no_conflict(
    cls: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, inside, lost = Committer.commit, list[int](), list[str]()

    def interrupted(self: Committer, writes: Any, cause: Any, *rest: Any, **more: Any) -> Any:
        if not inside and any(isinstance(write, Put) and write.cls == cls for write in writes):
            inside.append(0)
            inside[0] = prepare(load_settings()).rules
        try:
            return commit(self, writes, cause, *rest, **more)
        except ConflictError as error:
            lost.append(str(error))
            raise

    monkeypatch.setattr(Committer, "commit", interrupted)
    prepared = prepare(load_settings())
    assert inside == [prepared.rules]
    assert lost, "the commit that was interrupted came second"
    monkeypatch.setattr(Committer, "commit", commit)
    assert prepare(load_settings()).changes == 0
    names = _names()
    assert (len(names), len(set(names))) == (10, 10)


def test_a_set_up_that_never_gets_its_turn_ends_in_a_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def lose(*_: Any, **__: Any) -> None:
        asked.append(1)
        raise ConflictError("the rule was changed meanwhile; look at it and try again")

    monkeypatch.setattr("api.project.import_rules", lose)
    with pytest.raises(ConflictError, match="try again"):
        prepare(load_settings())
    assert len(asked) == 100


def _names() -> list[str]:
    store, raw, _ = open_store(load_settings(), SystemClock())
    try:
        return [
            f"{cls} {item.get('name') or item.get('scope')}"
            for cls in ("User", "Role", "Rule", "Control", "Service")
            for item in store.find(cls).items
        ]
    finally:
        store.close()
        raw.close()


def test_a_project_without_an_ontology_is_told_that_it_takes_no_data(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-P", str(project), "init"]) == 0
    assert "note:" not in capsys.readouterr().err
    (project / "noesis.toml").unlink()
    assert run(["-P", str(project), "--home", str(project / "bare"), "init"]) == 0
    assert "no ontology is named" in capsys.readouterr().err
