"""docker-compose.yml and the Dockerfile as far as they can be checked without Docker.

The compose specification's own schema, pinned tags, health checks, limits, no secret, no open port, no root, and commands that
this version of Noesis has. It starts no container; what an image does inside is not known here.
"""

import json
import re
import shlex
import stat
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from typer.main import get_command

from api.cli.main import app
from api.settings import PREFIX, Settings
from tests.tree import ROOT

_TEXT = (ROOT / "docker-compose.yml").read_text()
_FILE = yaml.safe_load(_TEXT)
SERVICES: dict[str, dict[str, Any]] = _FILE["services"]
_DURATION = re.compile(r"\A\d+(ms|s|m)\Z")
_REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?run make env\}")
OURS = ("init", "api", "worker", "indexer")
_DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_it_is_valid_by_the_schema_of_the_compose_specification() -> None:
    folder = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")
    schema = json.loads(folder.read_text(encoding="utf-8"))
    validator = validator_for(schema, Draft202012Validator)
    validator.check_schema(schema)
    # The schema takes null for an empty volume; what extends by `<<` is merged already.
    assert [f"{list(e.path)}: {e.message}" for e in validator(schema).iter_errors(_FILE)] == []
    broken = json.loads(json.dumps(_FILE))
    broken["services"]["api"]["helthcheck"] = {}
    assert list(validator(schema).iter_errors(broken)), "the schema refuses what it does not know"


def test_one_command_gives_the_whole_platform() -> None:
    assert set(SERVICES) == {*OURS, "neo4j", "qdrant", "rabbitmq", "redis"}
    assert not [name for name, service in SERVICES.items() if "profiles" in service]
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


def test_ours_stand_on_neo4j_qdrant_and_rabbitmq() -> None:
    for name in OURS:
        environment = SERVICES[name]["environment"]
        assert environment["NOESIS_STORE_URL"] == "bolt://neo4j:7687"
        assert environment["NOESIS_QDRANT_URL"] == "http://qdrant:6333"
        assert environment["NOESIS_BROKER_URL"].endswith("@rabbitmq:5672")


@pytest.mark.parametrize("name", OURS)
def test_ours_run_without_rights_on_a_root_that_cannot_be_written(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    written = {mount.split(":")[0] for mount in service["tmpfs"]}
    written |= {volume.rpartition(":")[2] for volume in service["volumes"] if not volume.endswith(":ro")}
    assert written == {"/tmp", "/var/lib/noesis"}, "what is written has a place"


@pytest.mark.parametrize("words", [SERVICES[name]["command"] for name in OURS], ids=OURS)
def test_each_command_is_one_of_ours(words: list[str]) -> None:
    command: Any = get_command(app)
    for place, word in enumerate(words):
        if word.startswith("--"):
            assert word in {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
        else:
            command = command.get_command(None, word)
            assert command is not None, words[: place + 1]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_limits(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_is_pinned_to_a_full_version(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+(-[a-z0-9.-]+)?\Z", SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - set(OURS)))
def test_each_server_has_a_bounded_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert len(check["test"]) >= 2
    assert all(isinstance(word, str) for word in check["test"])
    assert check["retries"] <= 20
    assert all(_DURATION.match(check[key]) for key in ("interval", "timeout", "start_period") if key in check)
    assert {"interval", "timeout"} <= set(check)


def test_the_image_is_built_in_stages_runs_as_nobody_and_looks_after_itself() -> None:
    bases = re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.search(r":\d+\.\d+\.\d+-[a-z-]+\Z", base) for base in bases)
    last = _DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "--torch-backend=cpu" in _DOCKERFILE
    assert "embeddings" in _DOCKERFILE, "the model is inside"
    check = re.search(r"^HEALTHCHECK [^\[]*CMD (\[[^\n]*\])$", last, re.MULTILINE)
    assert check
    compile(json.loads(check[1])[2], "healthcheck", "exec")
    port = re.search(r"NOESIS_METRICS_PORT=(\d+)", last)
    assert port
    assert f"127.0.0.1:{port[1]}/healthz" in check[1]
    for name in re.findall(r"NOESIS_([A-Z_]+)=", last):
        assert name.lower() in Settings.model_fields


def test_what_the_image_copies_is_there_and_is_sent_to_the_build() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", _DOCKERFILE, re.MULTILINE):
        for source in shlex.split(line)[:-1]:
            assert (ROOT / source).exists(), source
            assert source in sent, source


def test_make_env_writes_strong_passwords_for_its_owner_alone_and_never_over_others(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "env.sh"
    script.write_text((ROOT / "scripts" / "env.sh").read_text())
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    for _ in range(2):
        subprocess.run(["bash", script], check=True, capture_output=True)
        made = (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    values = dict(re.findall(r"^([A-Z0-9_]+)=([0-9a-f]{48})$", made, re.MULTILINE))
    assert set(values) == set(_REQUIRED.findall(_TEXT))
    assert len(set(values.values())) == len(values)
    (tmp_path / ".env").write_text("MINE=1\n")
    subprocess.run(["bash", script], check=True, capture_output=True)
    assert (tmp_path / ".env").read_text() == "MINE=1\n"
    assert {path.name for path in tmp_path.iterdir()} == {"scripts", ".env", ".env.example"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_port_is_open_beyond_this_machine(name: str) -> None:
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in SERVICES[name].get("ports", []))


def test_no_secret_has_a_default() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", _TEXT)) - {"PROJECT"}
    assert used == set(_REQUIRED.findall(_TEXT))
    offered = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(offered) == used
    assert not any(offered.values())
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASS|SECRET|KEY|AUTH|TOKEN", key) and key != f"{PREFIX}KEYLESS":
                assert _REQUIRED.search(value), key


def test_named_volumes_and_dependencies_exist() -> None:
    for service in SERVICES.values():
        named = [volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith("${PROJECT")]
        assert all(name in _FILE["volumes"] for name in named)
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES
            done = "service_completed_successfully" if other == "init" else "service_healthy"
            assert condition == {"condition": done}


def test_the_application_is_told_only_what_it_knows() -> None:
    for service in SERVICES.values():
        for key in service.get("environment", {}):
            if key.startswith(PREFIX):
                assert key.removeprefix(PREFIX).lower() in Settings.model_fields, key


def test_the_api_takes_no_request_without_a_key_when_it_listens_beyond_loopback() -> None:
    environment = SERVICES["api"]["environment"]
    assert environment[f"{PREFIX}HOST"] == "0.0.0.0"
    assert environment[f"{PREFIX}KEYLESS"] == "false"
