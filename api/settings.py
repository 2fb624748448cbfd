"""Settings: everything that can be chosen from outside, each with its unit, read from the environment here and nowhere else.

A variable ``NOESIS_<NAME>`` wins over `noesis.toml` of the project folder, which wins over the default. A secret may also stand
in a file: the one that ``NOESIS_<NAME>_FILE`` names, or ``noesis_<name>`` in the folder of secrets that containers mount.
Invariant: a key that nobody knows is refused with the nearest known one, so a misspelt setting never silently falls back to
its default. Secrets are `SecretStr`: they show up in no log and no error. Makes no folder and opens no other file.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SourceSettingsError
from pydantic_settings.sources import InitSettingsSource
from typing_extensions import override

from api.breaker_settings import BreakerTable
from api.effect_settings import EffectorTables
from api.errors import SettingsError
from api.lists import Listed, ListedOrigins
from api.workflow_settings import WorkflowTable
from kg.store import PAGE_MAX

PREFIX = "NOESIS_"
FILE = "noesis.toml"
#: What follows a secret's variable where its value is the path of a file.
IN_FILE = "_FILE"
#: Where container platforms mount secrets, unless NOESIS_SECRETS_DIR says otherwise.
SECRETS = Path("/run/secrets")
#: Characters of a secret in a file.
SECRET_MAX = 10_000


Names = Annotated[Listed, NoDecode]
Origins = Annotated[ListedOrigins, NoDecode]


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
    functions: str | None = None
    """Python file that exposes FUNCTIONS: what workflows may call, by name; deterministic, without effects."""
    rules: str | None = None
    """Folder of Cedar rules that are added at the first start."""
    rules_review: bool = True
    """Whether a rule added or retired by hand takes effect only after somebody else reviewed it."""
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
    oidc_issuer: str | None = None
    """Issuer of OpenID Connect tokens that are taken as well as API keys, e.g. https://login.example.com/tenant."""
    oidc_audience: Names = ()
    """Audiences (client ids) of this API; a token made for another one is refused."""
    oidc_user_claim: str = "sub"
    """Claim that names the user of the graph; choose one that people cannot change themselves."""
    oidc_roles_claim: str | None = None
    """Claim that lists what the user may be here; none: the roles that the graph gives."""
    oidc_roles: dict[str, str] = {}
    """What a word of `oidc_roles_claim` is as a role, e.g. { "grp-finance" = "finance-manager" }; others count for nothing."""
    oidc_leeway_seconds: float = Field(60.0, ge=0, le=300)
    """Seconds that the issuer's clock may differ from ours."""
    oidc_provision: bool = False
    """Whether a user that the graph does not know is made, with the mapped roles, at its first token."""
    allowed_hosts: Names = ()
    """Names under which the API may be called besides those of loopback and `host`."""
    allowed_origins: Origins = ()
    """Origins of web pages that may call the API (CORS), e.g. https://portal.example.com; others are refused."""
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
    checkpoint_changes: int = Field(1_000, ge=0)
    """Changes after which a running process signs a checkpoint; 0: only when asked."""
    checkpoint_seconds: float = Field(300.0, ge=1)
    """Seconds after which it signs one although there were fewer changes, if there were any."""
    checkpoint_key: SecretStr | None = None
    """Ed25519 private key (PEM) that signs checkpoints; none: checkpoint_key_file."""
    checkpoint_key_file: Path = Path("checkpoint.key")
    """File of that key, in the home folder where relative; made on first use, readable by its owner only."""
    checkpoint_origin: str | None = None
    """Name of this ledger in its notes, e.g. example.com/orders; taken when the first key is made, fixed from then on."""
    witness_key_file: Path | None = None
    """File of a second key that co-signs each checkpoint; keep it where the database's owner has no right."""
    witness_file: Path | None = None
    """File to which each checkpoint is appended and with which `noesis verify` compares; keep it on another machine."""
    runs_kept_days: int | None = Field(None, ge=0)
    """Days after its end for which `noesis runs prune` keeps what a run left beside its facts."""
    retention_days: dict[str, int] = {}
    """Days for which the rows of a class may not be erased, by class."""
    webhook_secret: SecretStr | None = None
    """Key that signs outgoing webhooks."""
    webhook_allow: Names = ()
    """Hosts that a webhook may call although their address is private."""
    effectors: EffectorTables = EffectorTables()
    """The tables [effectors.http], [effectors.sql.NAME] …: what effects may reach."""
    workflows: WorkflowTable = WorkflowTable()
    """The table [workflows]: how tasks are routed, and whether a schedule must declare a measure."""
    breakers: tuple[BreakerTable, ...] = ()
    """The tables [[breakers]]: what pauses an agent by itself."""
    secrets: dict[str, SecretStr] = {}
    """Secrets by name, as JSON, for the environment: effectors name them, no fact holds them."""
    llm_url: str | None = None
    """Base address of an OpenAI-compatible endpoint; none: no model is ever called."""
    llm_model: str | None = None
    """Name of the model at `llm_url`."""
    llm_region: str | None = None
    """Where that model is, e.g. eu, as rules name it (`context.region`)."""
    llm_key: SecretStr | None = None
    """Key for `llm_url`."""
    # -- what can be watched ----------------------------------------------------------------------------------------
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """debug, info, warning or error."""
    log_format: Annotated[str, Field(pattern="^(auto|json|console)$")] = "auto"
    """json: one object a line; console: for people; auto: console on a terminal, else json."""
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """TCP port at which a worker or indexer answers /metrics, /healthz and /readyz; none: none."""
    metrics_host: str = "127.0.0.1"
    """Address of `metrics_port`; anything but loopback needs `metrics_key`."""
    metrics_key: SecretStr | None = None
    """Key that /metrics asks for (`Authorization: Bearer …`); the API's takes an API key or this."""
    ready_needs: Names = ("store", "broker")
    """Parts without which /readyz answers 503: of store, broker, index, feed."""
    ready_seconds_max: float = Field(2.0, gt=0, le=60)
    """Seconds that /readyz waits for all parts."""
    ready_lag_max: int = Field(10_000, ge=1)
    """Changes that the feed may be behind before /readyz says so."""
    otlp_url: str | None = Field(None, pattern="^https?://[^/\\s]")
    """Address of an OpenTelemetry collector (OTLP over HTTP), e.g. http://127.0.0.1:4318; none: no traces."""
    otlp_key: SecretStr | None = None
    """Value of the Authorization header for the collector."""
    trace_ratio: float = Field(1.0, ge=0, le=1)
    """Share of traces that are kept where the caller has not decided."""
    secrets_dir: Path = SECRETS
    """Folder of files noesis_<name>, one for each secret that is kept there."""

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
        """Arguments, then variables, then files of secrets, then noesis.toml."""
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        written, files = _file(_folder(given) / FILE), _secret_files(given)
        secrets = {name: SecretStr(_secret(name, path)) for name, path in files.items()}
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, secrets),
            InitSettingsSource(settings_cls, written),
        )

    def path(self, name: str | Path) -> Path:
        """A path of the project: relative ones start at the project folder."""
        return self.project / name

    @property
    def mask_key(self) -> bytes:
        """The key of masks that hash: the secret `mask-key`; empty, values are redacted instead."""
        found = self.secrets.get("mask-key")
        return found.get_secret_value().encode() if found is not None else b""

    @property
    def home_path(self) -> Path:
        """The home folder, resolved."""
        return self.path(self.home)


def is_secret(name: str) -> bool:
    """Whether a setting's value is never shown."""
    annotation = Settings.model_fields[name].annotation
    return annotation is SecretStr or SecretStr in get_args(annotation)


def _in_file(name: str) -> bool:
    """Whether a setting is one secret, which may stand in a file; a name that ends so and is a setting itself means that one."""
    one = Settings.model_fields[name].annotation in (SecretStr, SecretStr | None)
    return one and name + IN_FILE.lower() not in Settings.model_fields


def _folder(given: Mapping[str, Any]) -> Path:
    return Path(given.get("project") or os.environ.get(f"{PREFIX}PROJECT") or ".")


def _secret_files(given: Mapping[str, Any]) -> dict[str, Path]:
    """The file of each secret that stands in one."""
    folder = Path(given.get("secrets_dir") or os.environ.get(f"{PREFIX}SECRETS_DIR") or SECRETS)
    found: dict[str, Path] = {}
    for name in filter(_in_file, Settings.model_fields):
        variable = f"{PREFIX}{name.upper()}"
        named = os.environ.get(variable + IN_FILE)
        if named and os.environ.get(variable):
            raise SettingsError(f"both {variable} and {variable}{IN_FILE} are set; leave one out")
        mounted = folder / f"{PREFIX}{name}".lower()
        if named:
            found[name] = Path(named)
        elif not os.environ.get(variable) and mounted.is_file():
            found[name] = mounted
    return found


def _secret(name: str, path: Path) -> str:
    """The text of a secret's file without the end of its line."""
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"the file of {name}, {path}, is not UTF-8; save it so") from None
    except OSError as error:
        raise SettingsError(
            f"the file of {name}, {path}, cannot be read ({error.strerror}); correct {PREFIX}{name.upper()}{IN_FILE}"
        ) from None
    if not text or "\n" in text or len(text) > SECRET_MAX:
        raise SettingsError(f"the file of {name}, {path}, does not hold one line; write the secret alone into it")
    return text


def origins(**given: Any) -> dict[str, str]:
    """Where each setting's value comes from: default, noesis.toml, environment, file or argument, with its place."""
    written, files = _file(_folder(given) / FILE), _secret_files(given)
    found: dict[str, str] = {}
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        if name in given:
            found[name] = "argument"
        elif os.environ.get(variable):
            found[name] = f"environment ({variable})"
        elif name in files:
            found[name] = f"file ({files[name]})"
        else:
            found[name] = FILE if name in written else "default"
    return found


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
        held = bare.removesuffix(IN_FILE.lower()) if prefix else bare
        if bare in known:
            continue
        if held != bare and held in known and not _in_file(held):
            raise SettingsError(
                f"{where}: {name} names a file, but {held} is no secret; set {name.removesuffix(IN_FILE)}"
            )
        if held not in known:
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
        raise SettingsError(
            f"setting {name}: {first['msg'].removeprefix('Value error, ')}; correct it in {FILE} or {PREFIX}{name.upper()}"
        ) from None
    except SourceSettingsError as error:
        raise SettingsError(f"{error}; write it as JSON") from None
    # Made where it is not there, a folder that was misspelt would hold an empty graph.
    if not settings.project.is_dir():
        raise SettingsError(f"{settings.project} is no folder; correct --project or NOESIS_PROJECT")
    for name, value in settings:
        if _nul(value):
            raise SettingsError(f"setting {name} holds a NUL character; correct it in {FILE} or {PREFIX}{name.upper()}")
    return settings
