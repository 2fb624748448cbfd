"""docker-compose.yml as far as it can be checked without Docker: structure, pinned tags, health checks, no secret, no open port.

It does not start a container; what an image does inside is not known here.
"""

import re
from typing import Any

import pytest
import yaml

from api.settings import PREFIX, Settings
from tests.tree import ROOT

_TEXT = (ROOT / "docker-compose.yml").read_text()
_FILE = yaml.safe_load(_TEXT)
SERVICES: dict[str, dict[str, Any]] = _FILE["services"]
#: Of the compose specification's service keys, those this file uses.
_KEYS = {
    "build",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "hostname",
    "image",
    "ports",
    "profiles",
    "restart",
    "volumes",
}
_DURATION = re.compile(r"\A\d+(ms|s|m)\Z")
_REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?set \1 in \.env\}")


def test_it_holds_the_six_services_and_known_keys_only() -> None:
    assert set(SERVICES) == {"api", "worker", "neo4j", "qdrant", "rabbitmq", "redis"}
    assert {key for key in _FILE if not key.startswith("x-")} == {"name", "services", "volumes"}
    assert not {key for service in SERVICES.values() for key in service} - _KEYS


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_is_pinned_to_a_full_version(name: str) -> None:
    images = [SERVICES[name]["image"]]
    if "build" in SERVICES[name]:
        images += re.findall(r"^FROM (\S+)", SERVICES[name]["build"]["dockerfile_inline"], re.MULTILINE)
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+(-[a-z0-9.-]+)?\Z", image), image


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_a_bounded_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert len(check["test"]) >= 2
    assert all(isinstance(word, str) for word in check["test"])
    assert check["retries"] <= 20
    assert all(_DURATION.match(check[key]) for key in ("interval", "timeout", "start_period") if key in check)
    assert {"interval", "timeout"} <= set(check)


@pytest.mark.parametrize("name", SERVICES)
def test_no_port_is_open_beyond_this_machine(name: str) -> None:
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in SERVICES[name].get("ports", []))


def test_no_secret_has_a_default() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", _TEXT))
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
        assert all(volume.split(":")[0] in _FILE["volumes"] for volume in service.get("volumes", []))
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert condition == {"condition": "service_healthy"}


def test_the_application_is_told_only_what_it_knows() -> None:
    for service in SERVICES.values():
        for key in service.get("environment", {}):
            if key.startswith(PREFIX):
                assert key.removeprefix(PREFIX).lower() in Settings.model_fields, key


def test_the_api_takes_no_request_without_a_key_when_it_listens_beyond_loopback() -> None:
    environment = SERVICES["api"]["environment"]
    assert environment[f"{PREFIX}HOST"] == "0.0.0.0"
    assert environment[f"{PREFIX}KEYLESS"] == "false"
