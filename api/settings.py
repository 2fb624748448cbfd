"""Settings: everything that can be chosen from outside, each with its unit, read from the environment here and nowhere else.

A variable ``NOESIS_<NAME>`` wins over `noesis.toml` of the project folder, which wins over the default. Invariant: a key that
nobody knows is refused with the nearest known one, so a misspelt setting never silently falls back to its default. Secrets
are `SecretStr`: they show up in no log and no error. Makes no folder and opens no file but noesis.toml.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SourceSettingsError
from pydantic_settings.sources import InitSettingsSource
from typing_extensions import override

from api.errors import SettingsError
from kg.store import PAGE_MAX

PREFIX = "NOESIS_"
FILE = "noesis.toml"


def _split(value: Any) -> Any:
    """The names in a comma-separated text, as a variable of the environment gives them."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class MappingFile(BaseModel):
    """One mapping of a project: its file, and where its source stands if the mapping does not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    location: str | None = None


class Settings(BaseSettings):
    """What a process of Noesis is told from outside; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True, env_ignore_empty=True
    )

    # -- the project ------------------------------------------------------------------------------------------------
    project: Path = Path()
    """Folder with noesis.toml; the other paths are relative to it."""
    home: Path = Path(".noesis")
    """Folder for the database, the index and sockets."""
    ontology: Names = ()
    """Turtle files of the ontology."""
    mappings: tuple[MappingFile, ...] = ()
    """Mapping files that `noesis ingest` uses without arguments."""
    agents: str | None = None
    """Python file or package folder that exposes AGENTS."""
    rules: str | None = None
    """Folder of Cedar rules that are added at the first start."""
    people: str | None = None
    """YAML file of users, roles and departments."""

    # -- the API ----------------------------------------------------------------------------------------------------
    host: str = "127.0.0.1"
    """Address to bind; anything but loopback needs keyless = false."""
    port: int = Field(8400, ge=0, le=65535)
    """TCP port; 0 takes a free one."""
    keyless: bool = True
    """Whether requests from this machine may come without a key, as `local_user`."""
    local_user: str = Field("local", min_length=1, max_length=200)
    """Id of the User that acts in requests without a key."""
    local_roles: Names = ("admin",)
    """Roles of `local_user`."""
    allowed_hosts: Names = ()
    """Names under which the API may be called besides those of loopback and `host`."""
    allowed_origins: Names = ()
    """Origins of web pages that may call the API, e.g. https://portal.example.com; others are refused."""
    page_default: int = Field(50, ge=1, le=PAGE_MAX - 1)
    """Items of a root list where the query does not say."""
    page_nested: int = Field(20, ge=1, le=PAGE_MAX - 1)
    """Items of a relation where the query does not say."""
    page_max: int = Field(500, ge=1, le=PAGE_MAX - 1)
    """Items on a page at most; one more is read ahead, so it stays below the store's bound."""
    depth_max: int = Field(10, ge=1, le=50)
    """Levels of a GraphQL query."""
    aliases_max: int = Field(30, ge=0, le=1_000)
    """Aliases in a GraphQL query."""
    tokens_max: int = Field(2_000, ge=10, le=100_000)
    """Tokens of a GraphQL query."""
    cost_max: int = Field(50_000, ge=1)
    """Objects that one GraphQL operation may ask for, by its `first` arguments and their defaults."""
    body_bytes_max: int = Field(1_000_000, ge=1_000)
    """Bytes of a request body."""
    request_seconds_max: float = Field(30.0, gt=0)
    """Seconds that one request may take; subscriptions are exempt."""
    shutdown_seconds_max: int = Field(5, ge=1, le=600)
    """Seconds that requests at hand get to end when the server is told to stop."""
    threads_max: int = Field(8, ge=1, le=64)
    """Threads in which the API reads the store."""
    subscriptions_max: int = Field(20, ge=1, le=1_000)
    """Operations at once on one WebSocket connection."""
    queue_max: int = Field(1_000, ge=1, le=PAGE_MAX)
    """Changes that are read ahead for one subscription."""
    feed_poll_seconds: float = Field(0.5, gt=0)
    """Seconds between looks at the log while a subscription waits for another process's commits."""

    # -- the parts behind -------------------------------------------------------------------------------------------
    durable: bool = True
    """Whether each commit waits for the disk; false only for throw-away data."""
    store_url: str | None = None
    """neo4j:// or bolt:// address of a Neo4j server (+s for TLS); none: a file in the home folder."""
    store_user: str = "neo4j"
    """User of the Neo4j server."""
    store_password: SecretStr | None = None
    """Password of `store_user`."""
    store_database: str | None = None
    """Database of the Neo4j server; none: the user's own."""
    broker_url: SecretStr | None = None
    """redis:// or amqp:// address of the message broker; none: threads of this process."""
    workers: int = Field(4, ge=1, le=64)
    """Worker threads of this process."""
    queues: Names = ()
    """Departments (or general) whose messages this process takes from the broker; none: every one."""
    qdrant_url: str | None = None
    """Address of a Qdrant server; none: the engine inside this process."""
    qdrant_key: SecretStr | None = None
    """Key of the Qdrant server."""
    qdrant_collection: str = Field("noesis", pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    """Name of the index on the Qdrant server; each graph needs its own."""
    qdrant_seconds_max: int = Field(5, ge=1, le=600)
    """Seconds that one call to the Qdrant server may take."""
    qdrant_on_disk: bool = False
    """Whether a new index on the server keeps vectors and payload on disk; takes effect at `noesis index rebuild`."""
    qdrant_quantised: bool = False
    """Whether a new index on the server also holds vectors as bytes, a quarter of the memory; as above."""
    model_dir: Path | None = None
    """Folder of a sentence-transformers model; none: the packaged all-MiniLM-L6-v2."""
    webhook_secret: SecretStr | None = None
    """Key that signs outgoing webhooks."""
    webhook_allow: Names = ()
    """Hosts that a webhook may call although their address is private."""
    llm_url: str | None = None
    """Base address of an OpenAI-compatible endpoint; none: no model is ever called."""
    llm_model: str | None = None
    """Name of the model at `llm_url`."""
    llm_key: SecretStr | None = None
    """Key for `llm_url`."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """debug, info, warning or error."""

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then noesis.toml."""
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        folder = Path(given.get("project") or os.environ.get(f"{PREFIX}PROJECT") or ".")
        return init_settings, env_settings, InitSettingsSource(settings_cls, _file(folder / FILE))

    def path(self, name: str | Path) -> Path:
        """A path of the project: relative ones start at the project folder."""
        return self.project / name

    @property
    def home_path(self) -> Path:
        """The home folder, resolved."""
        return self.path(self.home)


def _file(path: Path) -> dict[str, Any]:
    """The keys of noesis.toml, none where there is no such file."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8; save it so") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML ({error}); correct it") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    _known(values, str(path), "")
    if "project" in values:
        raise SettingsError(f"{path} may not set project: it is the folder it stands in; remove the key")
    return values


def _known(names: Iterable[str], where: str, prefix: str) -> None:
    """Refuse a name that is no setting, with the nearest that is."""
    known = list(Settings.model_fields)
    for name in names:
        bare = name[len(prefix) :].lower() if prefix else name
        if bare not in known:
            near = difflib.get_close_matches(bare, known, 1, 0.5)
            shown = (prefix + near[0].upper() if prefix else near[0]) if near else ""
            hint = f"did you mean {shown}?" if near else f"known are {', '.join(known)}"
            raise SettingsError(f"{where}: unknown setting {name}; {hint}")


def _nul(value: Any) -> bool:
    """Whether a value or a part of it holds a NUL, which no path and no name may."""
    if isinstance(value, tuple | BaseModel):
        parts = value if isinstance(value, tuple) else [part for _, part in value]
        return any(map(_nul, parts))
    return "\x00" in str(value)


def load_settings(**given: Any) -> Settings:
    """The settings of this process; SettingsError in one sentence where one cannot be used."""
    _known((name for name in os.environ if name.startswith(PREFIX)), "the environment", PREFIX)
    _known(given, "arguments", "")
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {name}: {first['msg']}; correct it in {FILE} or {PREFIX}{name.upper()}") from None
    except SourceSettingsError as error:
        raise SettingsError(f"{error}; write it as JSON") from None
    for name, value in settings:
        if _nul(value):
            raise SettingsError(f"setting {name} holds a NUL character; correct it in {FILE} or {PREFIX}{name.upper()}")
    return settings
