"""`noesis demo`: the main job end to end on a made-up distributor, scored against what was planted in it."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from api.cli.terminal import Terminal
from kg.errors import InputError


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where to make its project; emptied first.")] = Path(
        ".noesis/demo"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed plants another year of business.")] = 7,
) -> None:
    """Play the whole story on a made-up distributor: exit code 0 only if all of it held."""
    try:
        from examples.distributor.story import tell
    except ImportError:
        raise InputError("the demo's example is not part of an installation; run it in a checkout of Noesis") from None
    terminal = Terminal()
    if folder.exists() and any(folder.iterdir()) and not (folder / "noesis.toml").exists():
        raise InputError(f"{folder} holds other things than a demo; name an empty or new --folder")
    held = tell(folder, lambda text: terminal.out.print(text, markup=False, highlight=False, soft_wrap=True), seed)
    if not held:
        terminal.err.print("noesis: the story did not hold; the lines marked ✗ say where", markup=False)
        raise typer.Exit(1)
    width = min(shutil.get_terminal_size().columns, 100)
    terminal.line("─" * width)
    terminal.line("All of it held. Look around:")
    for command in ("inbox", "decisions", "rules list", 'search "pump leaks" --class Ticket', "serve"):
        terminal.line(f"  noesis -P {folder} {command}")
