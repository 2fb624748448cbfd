"""Settings: variables win over noesis.toml, which wins over defaults; what nobody knows is refused by name."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from api.errors import SettingsError
from api.settings import Settings, load_settings, origins


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and an environment that says nothing."""
    import os

    for name in list(os.environ):
        if name.startswith("NOESIS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NOESIS_PROJECT", str(tmp_path))
    return tmp_path


def test_defaults_need_nothing(project: Path) -> None:
    settings = load_settings()
    assert (settings.host, settings.keyless, settings.home_path) == ("127.0.0.1", True, project / ".noesis")


def test_variables_win_over_the_file_and_the_file_over_defaults(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "noesis.toml").write_text(
        'port = 9000\npage_max = 200\nontology = ["a.ttl"]\nmappings = [{ file = "m.yaml" }]\n'
    )
    monkeypatch.setenv("NOESIS_PORT", "9001")
    monkeypatch.setenv("NOESIS_ALLOWED_HOSTS", "a.example, b.example")
    settings = load_settings()
    assert (settings.port, settings.page_max, settings.ontology) == (9001, 200, ("a.ttl",))
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.mappings[0].file == "m.yaml"
    assert load_settings(port=9002).port == 9002


@pytest.mark.parametrize(
    "origin", ["*", "portal.example.com", "https://*.example.com", "https://a.example/app", "null"]
)
def test_an_origin_that_no_page_has_is_refused(project: Path, origin: str) -> None:
    with pytest.raises(SettingsError, match=r"setting allowed_origins: '.*' is no origin; write scheme and host alone"):
        load_settings(allowed_origins=("https://portal.example.com", origin))


def test_a_project_that_is_not_there_is_refused_and_not_made(project: Path) -> None:
    with pytest.raises(SettingsError, match="shpo is no folder; correct --project or NOESIS_PROJECT"):
        load_settings(project=project / "shpo")
    assert not (project / "shpo").exists()


def test_a_misspelt_key_names_the_nearest(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "noesis.toml").write_text("pagemax = 3\n")
    with pytest.raises(SettingsError, match=r"noesis\.toml: unknown setting pagemax; did you mean page_max\?"):
        load_settings()
    (project / "noesis.toml").write_text("")
    monkeypatch.setenv("NOESIS_HSOT", "0.0.0.0")
    with pytest.raises(SettingsError, match=r"unknown setting NOESIS_HSOT; did you mean NOESIS_HOST\?"):
        load_settings()
    monkeypatch.delenv("NOESIS_HSOT")
    with pytest.raises(SettingsError, match="unknown setting nothing_like_it"):
        load_settings(nothing_like_it=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 'x'", "setting port"),
        ("port = 70000", "setting port"),
        ("page_max = 1000", "setting page_max"),
        ("keyless = 'perhaps'", "setting keyless"),
        ("log_level = 'loud'", "setting log_level"),
        ("mappings = ['m.yaml']", "setting mappings"),
        ("mappings = [{ fiel = 'm.yaml' }]", "setting mappings"),
        ("port = ", "not valid TOML"),
        ("project = 'elsewhere'", "may not set project"),
    ],
)
def test_a_wrong_value_is_one_sentence(project: Path, text: str, said: str) -> None:
    (project / "noesis.toml").write_text(text + "\n")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_text_is_refused(project: Path) -> None:
    (project / "noesis.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings()


def test_a_variable_that_is_no_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESIS_MAPPINGS", "m.yaml")
    with pytest.raises(SettingsError, match="mappings"):
        load_settings()


def test_secrets_show_up_nowhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in Settings.model_fields.items():
        if field.annotation is SecretStr or set(get_args(field.annotation)) == {SecretStr, type(None)}:
            monkeypatch.setenv(f"NOESIS_{name.upper()}", "hunter2")
    settings = load_settings()
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.webhook_secret is not None
    assert settings.webhook_secret.get_secret_value() == "hunter2"


def test_every_setting_is_described() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


def test_a_secret_stands_in_the_file_that_a_variable_names(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pass").write_text("hunter22\n")
    monkeypatch.setenv("NOESIS_STORE_PASSWORD_FILE", str(project / "pass"))
    settings = load_settings()
    assert settings.store_password is not None
    assert settings.store_password.get_secret_value() == "hunter22"
    assert origins()["store_password"] == f"file ({project / 'pass'})"
    monkeypatch.setenv("NOESIS_STORE_PASSWORD", "other")
    with pytest.raises(SettingsError, match="both NOESIS_STORE_PASSWORD and NOESIS_STORE_PASSWORD_FILE are set"):
        load_settings()


def test_a_mounted_secret_wins_over_noesis_toml_and_gives_way_to_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = project / "secrets"
    mounted.mkdir()
    (mounted / "noesis_broker_url").write_text("amqp://a:mounted@b")
    (project / "noesis.toml").write_text('secrets_dir = "unused"\nbroker_url = "amqp://a:written@b"\n')
    monkeypatch.setenv("NOESIS_SECRETS_DIR", str(mounted))
    found = load_settings().broker_url
    assert found is not None
    assert found.get_secret_value() == "amqp://a:mounted@b"
    monkeypatch.setenv("NOESIS_BROKER_URL", "redis://c")
    assert origins()["broker_url"] == "environment (NOESIS_BROKER_URL)"
    found = load_settings().broker_url
    assert found is not None
    assert found.get_secret_value() == "redis://c"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"", "one line"), (b"a\nb\n", "one line"), (b"\xff", "not UTF-8")]
)
def test_a_file_that_holds_no_secret_is_one_sentence(
    project: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    if content is not None:
        (project / "key").write_bytes(content)
    monkeypatch.setenv("NOESIS_QDRANT_KEY_FILE", str(project / "key"))
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings()
    assert "\n" not in str(refused.value)


def test_only_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESIS_PORT_FILE", "/dev/null")
    with pytest.raises(SettingsError, match="port is no secret; set NOESIS_PORT"):
        load_settings()
    monkeypatch.delenv("NOESIS_PORT_FILE")
    monkeypatch.setenv("NOESIS_PROT_FILE", "x")
    with pytest.raises(SettingsError, match="did you mean"):
        load_settings()


def test_each_setting_has_its_source(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "noesis.toml").write_text("page_max = 200\nport = 1\n")
    monkeypatch.setenv("NOESIS_PORT", "9001")
    found = origins(host="127.0.0.2")
    assert set(found) == set(Settings.model_fields)
    assert (found["page_max"], found["port"], found["host"], found["home"]) == (
        "noesis.toml", "environment (NOESIS_PORT)", "argument", "default",
    )  # fmt: skip
