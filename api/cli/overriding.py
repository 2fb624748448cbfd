"""`noesis override`: reverse or correct what was decided and applied."""

from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from coordination.override import override


def override_decision(
    context: typer.Context,
    decision: Annotated[str, typer.Argument(help="Id of the decision that let it happen.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")],
    correct: Annotated[bool, typer.Option("--correct", help="Only mark it as corrected; undo nothing.")] = False,
    json: Json = False,
) -> None:
    """Reverse what a decision let happen: a new decision, linked to it; workers undo the effect where that can be."""
    session = session_of(context)
    with session.platform() as platform:
        done = override(
            platform.store, platform.clock, platform.rules(), session.principal(platform), decision, reason,
            "correct" if correct else "reverse",
        )  # fmt: skip
    terminal = Terminal()
    if json:
        terminal.document({"override": done.id, "compensation": done.compensation or None})
        return
    terminal.line(
        f"Overridden: {done.id}" + (f"; compensation {done.compensation} begins." if done.compensation else ".")
    )
