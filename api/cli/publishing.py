"""`noesis workflow register`, `activate`, `deactivate` and `publish`: workflows that start by themselves, and the events they hear.

Invariant: each is decided and on record first. An event that nobody listens to is dropped: it is for whoever listens when it comes.
"""

from typing import Annotated

import typer

from api import orders
from api.cli.executing import parsed, registered
from api.cli.session import session_of
from api.cli.terminal import Terminal
from api.cli.upgrading import workflow
from coordination.runs.definitions import WORKFLOW

#: The group, with what is added to it here.
__all__ = ["workflow"]
_Source = Annotated[
    str, typer.Argument(help="A document's file, or NAMESPACE.NAME[:VERSION] of a registered workflow.")
]


@workflow.command("register")
def register(context: typer.Context, source: _Source) -> None:
    """Register a workflow version, so that runs, schedules and other workflows can name it."""
    _configure(context, source, "register")


@workflow.command("activate")
def activate(context: typer.Context, source: _Source) -> None:
    """Have a workflow start as its `schedule` says, for whoever activates it."""
    _configure(context, source, "activate")


@workflow.command("deactivate")
def deactivate(context: typer.Context, source: _Source) -> None:
    """End a workflow's schedule; runs under way go on."""
    _configure(context, source, "deactivate")


@workflow.command("publish")
def publish(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="The event's type.")],
    data: Annotated[str, typer.Option("--data", "-d", help="The event's data as JSON, or @FILE.")] = "null",
    source: Annotated[str, typer.Option("--source", help="The event's source, a URI.")] = "noesis:command-line",
    id: Annotated[str, typer.Option("--id", help="The event's id; the same source and id are delivered once.")] = "",
) -> None:
    """Publish an event to all runs and schedules that listen to its type now; where none does, it is dropped."""
    session = session_of(context)
    value = parsed(data)
    with session.platform(acting=True) as platform:
        orders.permitted(platform, session.principal(platform), "event.publish", WORKFLOW, kind)
        event = {"id": id or platform.clock.id(), "source": source, "type": kind, "data": value}
        orders.engine_of(platform).publish(event)
    Terminal().line(f"Published {event['id']}; `noesis serve` or `noesis work` delivers it.")


def _configure(context: typer.Context, source: str, word: str) -> None:
    session = session_of(context)
    with session.platform(acting=True) as platform:
        who, engine = session.principal(platform), orders.engine_of(platform)
        orders.permitted(platform, who, f"workflow.{word}", WORKFLOW, source)
        id = registered(platform, who, source)
        if word == "activate":
            engine.activate(id, who.uid)
        elif word == "deactivate":
            engine.deactivate(id)
        called = engine.definitions.plan(id).document.key
    Terminal().line(f"{called} is {word}{'ed' if word == 'register' else 'd'}.")
