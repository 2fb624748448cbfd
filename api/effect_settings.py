"""Settings of effectors: the tables ``[effectors.…]`` of noesis.toml, one model a kind of target.

Invariant: no secret stands in them; they name secrets, whose values come from the setting `secrets`, which is meant for the
environment. An unknown key is refused. Opens nothing.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class HttpTable(_Table):
    """Calls over HTTP, by `http` and `openapi`."""

    allow: tuple[str, ...] = ()
    """Hosts and networks that may be private or without encryption, e.g. crm.internal:8443."""
    honours_key: bool = False
    """Whether targets honour Idempotency-Key, so that a POST may be repeated."""
    deadline_seconds: float = Field(10.0, gt=0, le=600)
    """Seconds that one call may take."""
    secrets: dict[str, tuple[str, ...]] = {}
    """Secrets by name, each with the hosts that may hear it."""


class SqlTable(_Table):
    """A database that effects write to."""

    url: str = ""
    """sqlite:///FILE or postgresql://… ; or leave it out and name it by `secret`."""
    secret: str = ""
    """The secret that holds the address."""
    statements: dict[str, tuple[str, ...]]
    """What payloads may name: SQL with parameters as :name."""
    seconds: float = Field(10.0, gt=0, le=600)
    """Seconds that connecting and each statement may take."""


class SmtpTable(_Table):
    """A mail server."""

    host: str
    """Its name."""
    port: int = Field(587, ge=1, le=65535)
    """Its TCP port."""
    sender: str
    """The address that messages come from."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted."""
    user: str = ""
    """User for the login; none: no login."""
    secret: str = ""
    """The secret that holds the password."""
    seconds: float = Field(20.0, gt=0, le=600)
    """Seconds that each answer may take."""


class FileTable(_Table):
    """A folder that effects write files below."""

    root: str
    """The folder, relative to the project."""


class PythonTable(_Table):
    """Functions of this project that effects call."""

    module: str
    """Python file that exposes EFFECTS, a mapping of name to Function."""


class ProcessTable(_Table):
    """Shell commands and scripts of workflows, each shut in."""

    unconfined: bool = False
    """Whether a machine without namespaces may run them with limits alone: they then see its files and its network."""
    seconds: float = Field(30.0, gt=0, le=600)
    """Seconds that one may take; a task's own time-out may be shorter."""
    memory_mb: int = Field(512, ge=32, le=65_536)
    """Megabytes that each of its processes may have."""
    processes: int = Field(64, ge=2, le=1_000)
    """Processes and threads that it may have at once."""
    folder_mb: int = Field(64, ge=1, le=10_000)
    """Megabytes that it may write into its folder, which ends with it."""
    node: str = ""
    """Program for scripts in JavaScript; empty: node where it is installed."""


class NoticeTable(_Table):
    """Notices to people, with links by which they answer."""

    url: str = Field(pattern="^https?://[^/\\s]")
    """Where people reach the API, e.g. https://noesis.example.com."""
    keys: tuple[str, ...] = Field(min_length=1, max_length=8)
    """Secrets that sign links, 32 bytes or more; the first signs, the others still verify."""
    by: Literal["smtp", "webhook"] = "smtp"
    """What carries a notice; its own table or secret must be there."""
    address: str = ""
    """Where a webhook goes."""
    minutes: int = Field(60, ge=1, le=1_440)
    """How long a link lasts."""


class EffectorTables(_Table):
    """Which outside effectors there are; one without a table does not exist."""

    http: HttpTable | None = None
    openapi: dict[str, str] = {}
    """OpenAPI documents by name: JSON or YAML files. Their calls obey `http`."""
    sql: dict[str, SqlTable] = {}
    """Databases by name."""
    smtp: SmtpTable | None = None
    file: FileTable | None = None
    python: PythonTable | None = None
    process: ProcessTable | None = None
    notice: NoticeTable | None = None
