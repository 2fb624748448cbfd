"""`noesis serve` and `noesis work`: the processes, one or several under a supervisor.

Invariant: what cannot work is refused in one sentence before any child is started; children are started by the same command line
with hidden options, and end when this process does.
"""

import socket
from functools import partial
from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.auth import check_binding
from api.cli.session import Session, session_of
from api.cli.terminal import Terminal
from api.errors import SettingsError
from api.process import at_work, told, until_told
from api.serving import configured
from api.supervisor import PROCESSES_MAX, Supervisor, command, follow_parent

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True, help="End when standard input closes.")]


def work(
    context: typer.Context,
    threads: Annotated[int | None, typer.Option("--threads", min=1, max=64, help="Worker threads a process.")] = None,
    processes: Annotated[
        int,
        typer.Option("--processes", min=1, max=PROCESSES_MAX, help="Worker processes; more than one needs a broker."),
    ] = 1,
    queues: Annotated[
        str | None,
        typer.Option(
            "--queues", help="Take work of these departments only, comma-separated; general: of no department."
        ),
    ] = None,
    supervised: Supervised = False,
) -> None:
    """Run the agents: follow the graph, act, decide, apply. Ends cleanly on Ctrl-C and SIGTERM."""
    terminal = Terminal()
    session = session_of(context)
    alone = processes == 1
    with session.platform(index=alone, acting=True, lasting=alone, workers=threads, queues=queues) as platform:
        names = ", ".join(platform.acting.agents()) or "no agents"
        if processes == 1:
            with until_told() as wait:
                if supervised:
                    follow_parent()
                with at_work(platform, alone=not supervised):
                    _say(terminal, f"working with {names}; Ctrl-C ends it", supervised)
                    wait()
            _say(terminal, "ended", supervised)
            return
        if platform.settings.broker_url is None:
            raise SettingsError("several worker processes share their work over a broker; set broker_url, or run one")
    options = [f"--{name}={value}" for name, value in (("threads", threads), ("queues", queues)) if value is not None]
    _say(terminal, f"{processes} processes work with {names}; Ctrl-C ends them")
    _supervise(session, ["work", *options], processes, terminal)


def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to bind; beyond loopback keys are needed.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="TCP port; 0 takes a free one.")] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run the agents in this process too.")] = True,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=PROCESSES_MAX, help="Server processes that share the port.")
    ] = 1,
    supervised: Supervised = False,
    fd: Annotated[int | None, typer.Option("--fd", hidden=True, help="The socket that is listening already.")] = None,
) -> None:
    """Serve GraphQL, with the agents working in the same process. Ends cleanly on Ctrl-C and SIGTERM."""
    terminal = Terminal()
    session = session_of(context)
    alone = workers == 1
    with session.platform(index=alone, acting=True, lasting=alone, host=host, port=port) as platform:
        settings = platform.settings
        if workers == 1:
            server = uvicorn.Server(configured(create_app(platform), settings))
            listening = socket.socket(fileno=fd) if fd is not None else _listen(settings.host, settings.port)
            # It hears signals itself while it runs, and raises them again once it has stopped.
            with told(partial(setattr, server, "should_exit", True)):
                if supervised:
                    follow_parent()
                with at_work(platform, worker=worker, alone=not supervised):
                    _say(terminal, _address(settings.host, listening), supervised)
                    server.run(sockets=[listening])
            _say(terminal, "ended", supervised)
            return
        check_binding(settings)
    listening = _listen(settings.host, settings.port)
    _say(terminal, _address(settings.host, listening))
    options = [f"--fd={listening.fileno()}", "--worker" if worker else "--no-worker"]
    options += [f"--host={settings.host}", f"--port={listening.getsockname()[1]}"]
    _supervise(session, ["serve", *options], workers, terminal, (listening.fileno(),))


def _supervise(
    session: Session, arguments: list[str], count: int, terminal: Terminal, inherit: tuple[int, ...] = ()
) -> None:
    line = command(*session.arguments(), *arguments, "--supervised")
    code = Supervisor(line, count, lambda text: _say(terminal, text), inherit).run()
    _say(terminal, "ended")
    if code:
        raise typer.Exit(code)


def _say(terminal: Terminal, text: str, quiet: bool = False) -> None:
    if not quiet:
        terminal.err.print(f"noesis: {text}", markup=False)


def _address(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"GraphQL at http://{shown}:{listening.getsockname()[1]}/graphql; Ctrl-C ends it"


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
