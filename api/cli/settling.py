"""`noesis conflicts` and `noesis routing`: by which policy rivals are settled, what was refused, who gets which task and why.

Invariant: setting a policy, and forgetting what was refused or learnt, is decided as ``configure`` and on record before it changes
anything. Listing changes nothing.
"""

import json as jsons
from typing import Annotated, Any

import typer

from api.cli.session import Session, session_of
from api.cli.terminal import First, Json, Terminal
from api.platform import Noesis
from coordination import refusals
from coordination.errors import RoutingError
from coordination.learning import reset
from coordination.policies import ANY, CLASS, REMEMBER_SECONDS, Policy, declare, every, of, policy_id
from coordination.routing import CLASS as ROUTING
from coordination.routing import SKILL, posterior
from governance.configuring import permit
from governance.principals import Principal
from kg.model import Entity, Op, Order, Where
from kg.store import PAGE_MAX

conflicts = typer.Typer(no_args_is_help=True, help="How rival proposals are settled, and what was refused before.")
routing = typer.Typer(no_args_is_help=True, help="Which agent gets a task and why; what was learnt of each.")
_Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]
_Agent = Annotated[str, typer.Option("--agent", help="Of this agent only.")]


@conflicts.command("list")
def conflicts_list(context: typer.Context, json: Json = False) -> None:
    """List the conflict policies; where there is none: priority, confidence, person."""
    session = session_of(context)
    with session.platform() as platform:
        session.reader(platform)
        rows = [_policy(entity) for entity in every(platform.store)]
    terminal = Terminal()
    if json:
        terminal.document(rows)
        return
    columns = ("operation", "class", "steps", "quorum", "window", "remember", "version")
    cells = [tuple(row[column] for column in columns) for row in rows]
    terminal.table("", columns, cells, "No policies: priority, confidence, then a person. See `noesis conflicts set`.")


@conflicts.command("set")
def conflicts_set(
    context: typer.Context,
    steps: Annotated[str, typer.Argument(help="In order: priority, confidence, vote, merge, person; comma-separated.")],
    operation: Annotated[str, typer.Option("--operation", help="The operation; * for any.")] = ANY,
    cls: Annotated[str, typer.Option("--class", help="The class of the target; * for any.")] = ANY,
    quorum: Annotated[int, typer.Option("--quorum", help="The least number of agents behind what wins a vote.")] = 1,
    window: Annotated[int, typer.Option("--window", help="Seconds that a proposal waits for rivals.")] = 0,
    remember: Annotated[
        int, typer.Option("--remember", help="Seconds for which what lost is not made again unchanged.")
    ] = REMEMBER_SECONDS,
    reason: _Reason = "set on the command line",
    json: Json = False,
) -> None:
    """Set the policy of an operation and class, new or instead of the one there is."""
    session = session_of(context)
    policy = Policy(tuple(part.strip() for part in steps.split(",")), quorum, window, remember)
    with session.platform() as platform:
        who = _permitted(session, platform, "conflicts.set", CLASS, policy_id(operation, cls))
        made = _policy(declare(platform.store, platform.clock, who, operation, cls, policy, reason))
    if json:
        Terminal().document(made)
        return
    Terminal().line(f"Rivals of {made['operation']} on {made['class']} are settled by: {made['steps']}.")


@conflicts.command("refused")
def conflicts_refused(context: typer.Context, agent: _Agent = "", json: Json = False) -> None:
    """List what was rejected or beaten and is not made again unchanged, and how often it was withheld."""
    session = session_of(context)
    with session.platform() as platform:
        session.reader(platform)
        found = refusals.every(platform.store, agent)
    rows = [
        {"agent": it.agent, "operation": it.operation, "target": it.target, "proposal": it.proposal,
         "withheld": it.withheld, "reason": it.reason}
        for it in found
    ]  # fmt: skip
    terminal = Terminal()
    if json:
        terminal.document(rows)
        return
    columns = ("agent", "operation", "target", "proposal", "withheld", "reason")
    terminal.table("", columns, [tuple(row.values()) for row in rows], "Nothing is withheld.")


@conflicts.command("forget")
def conflicts_forget(
    context: typer.Context,
    agent: _Agent = "",
    proposal: Annotated[str, typer.Option("--proposal", help="Only what this proposal wanted.")] = "",
    json: Json = False,
) -> None:
    """Let what was refused be proposed again."""
    session = session_of(context)
    with session.platform() as platform:
        _permitted(session, platform, "conflicts.forget", CLASS, agent or proposal or "refusals")
        count = refusals.forget(platform.store, agent, proposal)
    if json:
        Terminal().document({"forgotten": count})
        return
    Terminal().line(f"{count} refusals are forgotten.")


@routing.command("show")
def routing_show(
    context: typer.Context,
    agent: _Agent = "",
    run: Annotated[str, typer.Option("--run", help="Choices of this run only.")] = "",
    first: First = 20,
    json: Json = False,
) -> None:
    """Show the last choices with their scores, and what is known of each agent."""
    session = session_of(context)
    where = [Where(name, Op.EQ, value) for name, value in (("agent", agent), ("run", run)) if value]
    with session.platform() as platform:
        reader = session.reader(platform)
        made = [_choice(e) for e in reader.find(ROUTING, where, Order("began", True), first=first).items]
        own = [Where("agent", Op.EQ, agent)] if agent else []
        known = [_skill(e) for e in reader.find(SKILL, own, first=PAGE_MAX - 1).items]
    terminal = Terminal()
    if json:
        terminal.document({"choices": made, "known": known})
        return
    columns = ("began", "capability", "agent", "outcome", "scores")
    cells = [(it["began"], it["capability"], it["agent"], it["outcome"], _scores(it["scores"])) for it in made]
    terminal.table("Choices", columns, cells, "Nothing was routed yet; use `call: agent` with `capability`.")
    rows = [tuple(it.values()) for it in known]
    terminal.table("Known", ("agent", "capability", "good", "bad", "mean", "deviation"), rows, "Nothing is known yet.")


@routing.command("reset")
def routing_reset(
    context: typer.Context,
    agent: _Agent = "",
    capability: Annotated[str, typer.Option("--capability", help="Of this kind of task only.")] = "",
    json: Json = False,
) -> None:
    """Forget what was learnt: routing starts from the prior again; the history stays."""
    session = session_of(context)
    with session.platform() as platform:
        who = _permitted(session, platform, "routing.reset", SKILL, agent or capability or "skills")
        count = reset(platform.store, platform.clock, who, agent, capability)
    if not count and (agent or capability):
        raise RoutingError(f"nothing is known of {(agent or capability)[:80]!r}; see `noesis routing show`")
    if json:
        Terminal().document({"reset": count})
        return
    Terminal().line(f"{count} are at the prior again.")


def _permitted(session: Session, platform: Noesis, operation: str, cls: str, name: str) -> Principal:
    who: Principal = session.principal(platform)
    permit(platform.store, platform.clock, platform.rules(), who, operation, cls, name[:200])
    return who


def _policy(entity: Entity) -> dict[str, Any]:
    policy = of(entity)
    return {
        "id": entity.id,
        "operation": str(entity["operation"]),
        "class": str(entity["targetClass"]),
        "steps": ", ".join(policy.steps),
        "quorum": policy.quorum,
        "window": policy.window,
        "remember": policy.remember,
        "version": entity.version,
    }


def _choice(entity: Entity) -> dict[str, Any]:
    weighed = jsons.loads(str(entity.get("scores", "{}")))
    return {
        "id": entity.id,
        "began": entity["began"],
        "task": entity["task"],
        "capability": entity["capability"],
        "agent": entity.get("agent", ""),
        "outcome": entity["state"],
        "failed": list(_texts(entity.get("failed", ()))),
        "scores": weighed.get("scores", {}),
        "left_out": weighed.get("out", {}),
    }


def _texts(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _scores(scores: dict[str, dict[str, float]]) -> str:
    ordered = sorted(scores.items(), key=lambda item: -item[1]["total"])
    return "; ".join(
        f"{name} {parts['total']:.3f} ("
        + ", ".join(f"{part} {value:.2f}" for part, value in parts.items() if part != "total")
        + ")"
        for name, parts in ordered
    )


def _skill(entity: Entity) -> dict[str, Any]:
    known = posterior(entity)
    return {
        "agent": entity["agent"],
        "capability": entity["capability"],
        "good": known.good,
        "bad": known.bad,
        "mean": round(known.mean, 4),
        "deviation": round(known.deviation, 4),
    }
