"""`noesis agents`: the agents of this project, the queues of their work, and what was put aside for a person.

Invariant: nothing put aside leaves the list but by a person's word, which is decided and on record. What lies dead in a broker is
only messages: the work they name is in the graph, so clearing them loses nothing.
"""

from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import First, Json, Terminal
from coordination import lanes, letters
from coordination.errors import BrokerError, StateError
from governance.configuring import permit

agents = typer.Typer(no_args_is_help=True, help="The agents of this project and the work they left for a person.")
#: Dead letters that one `--all` takes up.
ALL_MAX = 10_000


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


@agents.command("queues")
def agents_queues(context: typer.Context, json: Json = False) -> None:
    """Show the queues at the broker: what waits in each, what lies dead, and how many worker processes take from it."""
    with session_of(context).platform(acting=True) as platform:
        carrier = platform.worker.carrier
        every = lanes.every(platform.acting.agents().values())
        serving = platform.runtime.serving()
        counts = {lane: letters.counts(carrier, lane) for lane in every}
    rows = [(lanes.shown(lane), *counts[lane], serving.get(lane, 0)) for lane in every]
    terminal = Terminal()
    if json:
        terminal.document([dict(zip(("queue", "waiting", "dead", "processes"), row, strict=True)) for row in rows])
        return
    terminal.table("", ["queue", "waiting", "dead", "processes"], rows, "No queues.")


@agents.command("dead-letters")
def agents_dead_letters(
    context: typer.Context,
    first: First = 50,
    drain: Annotated[bool, typer.Option("--drain", help="Clear the dead messages of the broker.")] = False,
    json: Json = False,
) -> None:
    """List work that was put aside after its last try, with the reason, and the dead messages of the broker."""
    session = session_of(context)
    with session.platform(acting=True) as platform:
        failed = platform.runtime.failures(first=first)
        every = lanes.every(platform.acting.agents().values())
        if drain:
            permit(*session.asking(platform), "work.drain", "Service", "work")
        try:
            ask = letters.drain if drain else letters.dead
            dead = {lanes.shown(lane): count for lane in every if (count := ask(platform.worker.carrier, lane))}
            away = ""
        except BrokerError as error:
            dead, away = {}, str(error)
    terminal = Terminal()
    if json:
        work = [
            {"work": w.id, "agent": w.agent, "subject": w.subject, "attempts": w.attempts, "reason": w.reason}
            for w in failed
        ]
        terminal.document({"work": work, "broker": dead, "drained": drain, "brokerError": away or None})
        return
    rows = [(w.id, w.agent, w.subject, w.reason) for w in failed]
    terminal.table("", ["work", "agent", "subject", "reason"], rows, "Nothing was put aside.")
    for name, count in dead.items():
        done = "cleared; their work is in the graph" if drain else "clear them with --drain; their work is in the graph"
        terminal.line(f"{count:,} dead messages at the broker in queue {name}: {done}.")
    if away:
        terminal.err.print(f"noesis: {away}", markup=False)


@agents.command("retry")
def agents_retry(
    context: typer.Context,
    work_id: Annotated[str | None, typer.Argument(help="Id of the work, from `noesis agents dead-letters`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that was put aside.")] = False,
) -> None:
    """Take up work again that was put aside."""
    if every == (work_id is not None):
        raise StateError("name one work or say --all; `noesis agents dead-letters` lists them")
    session = session_of(context)
    with session.platform(acting=True) as platform:
        permit(*session.asking(platform), "work.retry", "Service", "work")
        ids = [work_id] if work_id is not None else [w.id for w in platform.runtime.failures(first=ALL_MAX)]
        for id in ids:
            platform.runtime.retry(id)
    Terminal().line(f"{work_id} is open again." if work_id is not None else f"{len(ids):,} are open again.")


@agents.command("drop")
def agents_drop(
    context: typer.Context,
    work_id: Annotated[str, typer.Argument(help="Id of the work, from `noesis agents dead-letters`.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")],
) -> None:
    """Give up work that was put aside; who did so and why goes on record."""
    session = session_of(context)
    with session.platform(acting=True) as platform:
        permit(*session.asking(platform), "work.drop", "Service", "work")
        platform.runtime.drop(work_id, session.principal(platform).uid, reason)
    Terminal().line(f"{work_id} is given up.")
