"""`noesis serve`, `work` and `agents`: the processes, and what they put aside for a person."""

import socket
import sys
from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.cli.session import session_of
from api.cli.terminal import First, Json, Terminal
from api.errors import SettingsError
from api.process import at_work, outlived, until_told
from api.serving import configured
from governance.configuring import permit

agents = typer.Typer(no_args_is_help=True, help="The agents of this project and the work they left for a person.")


def work(
    context: typer.Context,
    threads: Annotated[int | None, typer.Option("--threads", min=1, max=64, help="Worker threads.")] = None,
) -> None:
    """Run the agents: follow the graph, act, decide, apply. Ends cleanly on Ctrl-C and SIGTERM."""
    terminal = Terminal()
    with session_of(context).platform(index=True, acting=True, workers=threads) as platform:
        names = ", ".join(platform.acting.agents()) or "no agents"
        with at_work(platform):
            until_told(lambda: terminal.err.print(f"noesis: working with {names}; Ctrl-C ends it", markup=False))
    terminal.err.print("noesis: ended", markup=False)


def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to bind; beyond loopback keys are needed.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="TCP port; 0 takes a free one.")] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run the agents in this process too.")] = True,
) -> None:
    """Serve GraphQL, with the agents working in the same process. Ends cleanly on Ctrl-C and SIGTERM."""
    terminal = Terminal()
    with session_of(context).platform(index=True, acting=True, host=host, port=port) as platform:
        settings = platform.settings
        app = create_app(platform)
        listening = _listen(settings.host, settings.port)
        bound = listening.getsockname()[1]
        config = configured(app, settings)
        with at_work(platform, worker=worker), outlived():
            shown = f"[{settings.host}]" if ":" in settings.host else settings.host
            terminal.err.print(f"noesis: GraphQL at http://{shown}:{bound}/graphql; Ctrl-C ends it", markup=False)
            uvicorn.Server(config).run(sockets=[listening])
    terminal.err.print("noesis: ended", markup=False)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # Now, not when the server starts: whoever reads the address may call at once, and a second server is refused here.
        listening.listen()
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"{host}:{port} cannot be bound ({error.strerror}); choose another --port or --host"
        ) from None
    return listening


@agents.command("list")
def agents_list(context: typer.Context, json: Json = False) -> None:
    """List the agents of this project."""
    with session_of(context).platform(acting=True) as platform:
        cards = list(platform.acting.agents().values())
    terminal = Terminal()
    if json:
        terminal.document(
            [
                {
                    "name": card.name,
                    "version": card.version,
                    "department": card.department,
                    "capabilities": list(card.capabilities),
                    "wakes": sorted({wake.cls for wake in card.wakes}),
                    "priority": card.priority,
                    "digest": card.digest,
                }
                for card in cards
            ]
        )
        return
    rows = [
        (c.name, c.version, c.department or "", ", ".join(c.capabilities), ", ".join(sorted({w.cls for w in c.wakes})))
        for c in cards
    ]
    terminal.table(
        "", ["name", "version", "department", "may propose", "wakes on"], rows, "No agents; name them in noesis.toml."
    )


@agents.command("failures")
def agents_failures(context: typer.Context, first: First = 50, json: Json = False) -> None:
    """List work that was put aside after its last try, with the reason."""
    with session_of(context).platform(acting=True) as platform:
        failed = platform.runtime.failures(first=first)
    terminal = Terminal()
    if json:
        terminal.document([{"work": w.id, "agent": w.agent, "subject": w.subject, "reason": w.reason} for w in failed])
        return
    rows = [(w.id, w.agent, w.subject, w.reason) for w in failed]
    terminal.table("", ["work", "agent", "subject", "reason"], rows, "Nothing was put aside.")


@agents.command("retry")
def agents_retry(context: typer.Context, work_id: Annotated[str, typer.Argument(help="Id of the work.")]) -> None:
    """Take up work again that was put aside."""
    session = session_of(context)
    with session.platform(acting=True) as platform:
        permit(*session.asking(platform), "work.retry", "Service", "work")
        platform.runtime.retry(work_id)
    sys.stdout.write(f"{work_id} is open again.\n")
