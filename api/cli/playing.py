"""`noesis demo`: the main job end to end on a made-up distributor, scored against what was planted in it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from api.cli.terminal import Terminal
from api.errors import SettingsError
from api.settings import load_settings
from kg.errors import InputError


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where to make its project; emptied first.")] = Path(
        ".noesis/demo"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed plants another year of business.")] = 7,
    servers: Annotated[
        bool, typer.Option("--servers", help="Tell it on the servers that the settings name, on an empty graph.")
    ] = False,
) -> None:
    """Play the whole story on a made-up distributor: exit code 0 only if all of it held."""
    try:
        from examples.distributor.story import SERVERS, tell
    except ImportError:
        raise InputError("the demo's example is not part of an installation; run it in a checkout of Noesis") from None
    terminal = Terminal()
    if folder.exists() and any(folder.iterdir()) and not (folder / "noesis.toml").exists():
        raise InputError(f"{folder} holds other things than a demo; name an empty or new --folder")
    used = _servers(SERVERS) if servers else {}

    def say(text: str) -> None:
        terminal.out.print(text, markup=False, highlight=False, soft_wrap=True)

    held = tell(folder, say, seed, used)
    if not held:
        terminal.err.print("noesis: the story did not hold; the lines marked ✗ say where", markup=False)
        raise typer.Exit(1)
    width = min(shutil.get_terminal_size().columns, 100)
    terminal.line("─" * width)
    terminal.line("All of it held. Look around:")
    for command in ("inbox", "decisions", "rules list", 'search "pump leaks" --class Ticket', "serve"):
        terminal.line(f"  noesis -P {folder} {command}")


def _servers(names: Sequence[str]) -> dict[str, str]:
    """The settings that name servers; SettingsError where none does."""
    settings = load_settings()
    found = {name: value for name in names if (value := getattr(settings, name)) is not None}
    if not any(name.endswith("_url") for name in found):
        raise SettingsError(
            "no server is named; set NOESIS_STORE_URL, NOESIS_BROKER_URL or both, or use make demo-servers"
        )
    return {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in found.items()}
