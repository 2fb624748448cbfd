"""The doctor: every setting with its source, every part's version and state, and no secret anywhere."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.doctor import FREE_MIN, examine
from api.settings import Settings, load_settings
from tests.services import server

SECRET = "hunter2-hunter2"


def doctor(folder: Path, *, as_json: bool = True) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["--project", str(folder), "doctor", *(["--json"] if as_json else [])])
    return result.exit_code, result.stdout


def test_every_setting_has_its_source_and_secrets_are_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noesis.toml").write_text(f'page_max = 200\nstore_url = "bolt://u:{SECRET}@127.0.0.1:1"\n')
    (tmp_path / "pass").write_text(SECRET)
    monkeypatch.setenv("NOESIS_BROKER_URL", f"redis://:{SECRET}@127.0.0.1:1/0")
    monkeypatch.setenv("NOESIS_STORE_PASSWORD_FILE", str(tmp_path / "pass"))
    code, told = doctor(tmp_path)
    assert code == 1
    assert SECRET not in told
    found = {row["setting"]: row for row in json.loads(told)["settings"]}
    assert list(found) == list(Settings.model_fields)
    assert (found["page_max"]["value"], found["page_max"]["source"]) == (200, "noesis.toml")
    assert found["broker_url"] == {"setting": "broker_url", "value": "***", "source": "environment (NOESIS_BROKER_URL)"}
    assert found["store_password"]["source"] == f"file ({tmp_path / 'pass'})"
    assert found["project"]["source"] == "argument"
    assert found["port"]["source"] == "default"
    checks = {check["check"]: check for check in json.loads(told)["checks"]}
    assert not checks["broker"]["ok"]
    assert "does not answer" in checks["broker"]["detail"]
    code, shown = doctor(tmp_path, as_json=False)
    assert code == 1
    assert SECRET not in shown


def test_each_part_has_its_version_and_state(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["--project", str(tmp_path), "init"]).exit_code == 0
    checks = {check.name: check for check in examine(load_settings(project=tmp_path))}
    assert not [check for check in checks.values() if not check.ok]
    assert checks["graph file"].detail.startswith("SQLite 3.")
    assert checks["index"].detail.startswith("qdrant-edge 0.")
    assert "changes behind" in checks["index state"].detail or "being filled" in checks["index state"].detail
    assert "GB free" in checks["disk"].detail
    assert "UTC" in checks["time"].detail


def test_a_full_disk_and_an_index_that_is_away_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(app, ["--project", str(tmp_path), "init"]).exit_code == 0
    monkeypatch.setattr("api.doctor.FREE_MIN", 10**18)
    checks = {check.name: check for check in examine(load_settings(project=tmp_path, qdrant_url="http://127.0.0.1:1"))}
    assert not checks["disk"].ok
    assert not checks["index"].ok
    assert "does not answer" in checks["index"].detail
    assert FREE_MIN == 10**9


@pytest.mark.parametrize("name", ["redis", "rabbitmq"])
def test_a_broker_says_its_version(tmp_path: Path, name: str) -> None:
    running = server.running(name)
    checks = {check.name: check for check in examine(load_settings(project=tmp_path, broker_url=running.url))}
    assert checks["broker"].ok
    assert running.password not in checks["broker"].detail
    assert checks["broker"].detail.endswith("at 127.0.0.1")
