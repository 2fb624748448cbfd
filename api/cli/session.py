"""One command's session: settings from the global options, the platform built and closed around it, and who acts.

Invariant: the platform is closed whatever happens inside, Ctrl-C included. The command line acts as `local_user`, or with
`--as` as another principal of the graph: whoever may run it on this machine can read the database anyway.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from api.auth import local_principal
from api.bootstrap import DATABASE, build
from api.errors import SettingsError
from api.platform import Noesis
from api.settings import Settings, load_settings, origins
from api.watching import watched
from governance.breakglass import carried
from governance.principals import Principal, load_principal, with_purpose
from governance.readings import CLI, Readings, recorded
from governance.rulebook import RuleBook
from kg.clock import Clock
from kg.errors import StoreReadOnlyError
from kg.model import Entity
from kg.reader import Reader
from kg.store import GraphStore
from kg.view import View


@dataclass(frozen=True, slots=True)
class Session:
    """What the global options said."""

    project: Path | None = None
    home: Path | None = None
    acting_as: str | None = None
    purpose: str | None = None

    def settings(self, **more: Any) -> Settings:
        """The settings of this command; the options win over variables and noesis.toml."""
        return load_settings(**self._given(more))

    def origins(self) -> dict[str, str]:
        """Where each setting of this command comes from."""
        return origins(**self._given({}))

    def _given(self, more: Mapping[str, Any]) -> dict[str, Any]:
        given = {"project": self.project, "home": self.home.resolve() if self.home is not None else None, **more}
        return {name: value for name, value in given.items() if value is not None}

    def arguments(self) -> list[str]:
        """The global options as a command line gives them, for a child process."""
        given = (
            ("--project", self.project),
            ("--home", self.home),
            ("--as", self.acting_as),
            ("--purpose", self.purpose),
        )
        return [f"{name}={value}" for name, value in given if value is not None]

    @contextmanager
    def platform(
        self, *, index: bool = False, acting: bool = False, lasting: bool = False, **more: Any
    ) -> Iterator[Noesis]:
        """The platform, closed at the end; SettingsError where nothing was set up yet. `lasting`: it runs long and is watched."""
        settings = self.settings(**more)
        if settings.store_url is None:
            _expect_file(settings.home_path)
        with _writable(settings), ExitStack() as around:
            metrics = around.enter_context(watched(settings)) if lasting else None
            platform = build(settings, index=index, acting=acting, metrics=metrics)
            around.callback(platform.close)
            if platform.store.head().position == 0:
                raise SettingsError(
                    f"there is no graph at {settings.store_url or settings.home_path}; run `noesis init` first"
                )
            yield platform

    def principal(self, platform: Noesis) -> Principal:
        """Who acts in this command."""
        if self.acting_as is None:
            found = local_principal(platform)
        else:
            uid = self.acting_as if "::" in self.acting_as else Principal("User", self.acting_as).uid
            found = load_principal(platform.store, uid)
        found = carried(platform.store, platform.clock, found)
        return found if self.purpose is None else with_purpose(found, self.purpose)

    def asking(self, platform: Noesis) -> tuple[GraphStore, Clock, RuleBook, Principal]:
        """What a decision about this command needs, in the order of `governance.configuring.permit`."""
        return platform.store, platform.clock, platform.rules(), self.principal(platform)

    def view(self, platform: Noesis) -> View:
        """What whoever acts may see; personal and labelled values that it lets through are on record before they are printed."""
        who = self.principal(platform)
        return recorded(platform.view(who), platform.ontology, who, platform.store, platform.clock)

    def tell(self, platform: Noesis, entities: Iterable[Entity]) -> None:
        """Put on record what of these entities, as a view showed them, is about to be printed."""
        who = self.principal(platform)
        readings = Readings(platform.ontology, who, platform.view(who), CLI)
        for entity in entities:
            readings.note_all(entity)
        readings.commit(platform.store, platform.clock)

    def reader(self, platform: Noesis) -> Reader:
        """The graph as whoever acts may see it."""
        return Reader(platform.store, self.view(platform))


@contextmanager
def _writable(settings: Settings) -> Iterator[None]:
    """SettingsError that names the file where the embedded graph may not be written, whatever the command is."""
    try:
        yield
    except StoreReadOnlyError as error:
        if settings.store_url is not None:
            raise
        raise SettingsError(
            f"{settings.home_path / DATABASE} may not be written, which is needed to read it too (what is read goes on record): "
            "make the file and its folder writable, or copy the folder and name the copy with --home"
        ) from error


def _expect_file(home: Path) -> None:
    """Raise SettingsError where the embedded graph was never made, or was emptied."""
    database = home / DATABASE
    if not database.exists():
        raise SettingsError(f"there is no graph in {home}; run `noesis init` first, or name another --project")
    if database.is_file() and database.stat().st_size == 0:
        # SQLite takes an emptied file for a new one, and a lost graph would look like one in which nothing happened.
        raise SettingsError(f"{database} is empty; restore a backup, or delete it and run `noesis init`")


def session_of(context: typer.Context) -> Session:
    """The session that the root callback made."""
    found = context.find_root().obj
    return found if isinstance(found, Session) else Session()
