"""`noesis inbox`, `approve`, `reject`, `decisions`, `keys`: people's part in what agents do."""

from datetime import timedelta
from typing import Annotated

import typer

from api.cli.bulk import approve_all, asker, questions
from api.cli.session import Session, session_of
from api.cli.terminal import First, Json, Terminal, brief, entity_form, shown
from api.editing import edit_proposal, parse_edit
from coordination.breakers import open_trips
from coordination.effects import effect_id, key_of
from coordination.proposals import Proposal
from governance import apikeys, breakglass
from governance.approvals import Answer
from governance.approvals import approve as answer
from governance.configuring import permit
from kg.errors import ScanLimitError
from kg.model import Entity, Op, Order, Where
from kg.reader import Reader

FAILED = [Where("state", Op.EQ, "failed")]
WAITING = ("waiting_approval", "conflicted", "in_doubt")
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why, for the record.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]

keys = typer.Typer(no_args_is_help=True, help="API keys: made once, shown once, stored as a hash.")


def inbox(
    context: typer.Context,
    first: First = 50,
    failed: Annotated[
        bool, typer.Option("--failed", help="Instead: proposals that could not be carried out, newest first, and why.")
    ] = False,
    json: Json = False,
) -> None:
    """List the proposals and the questions of workflows that wait for a person, with the decision to answer, and broken glass."""
    session = session_of(context)
    if failed:
        _failed(session, first, json)
        return
    with session.platform() as platform:
        reader = session.reader(platform)
        found = reader.find("Proposal", [Where("state", Op.IN, WAITING)], None, None, first).items
        edges = reader.expand([p.id for p in found], "decidedBy", first=20)
        rows = [(proposal, _open_decision([edge.entity for edge in edges[proposal.id]])) for proposal in found]
        asking = questions(platform.store, reader, first)
        glasses = list(reader.get([glass.id for glass in breakglass.unreviewed(platform.store)]).values())
        now = breakglass.moment(platform.store, platform.clock)
        trips = list(reader.get([trip.id for trip in open_trips(platform.store)]).values())
        failures = _failures(reader, first)
    terminal = Terminal()
    if json:
        asked = [{**entity_form(d), "decision": entity_form(d)} for d in asking]
        proposed = [{**entity_form(p), "decision": entity_form(d) if d is not None else None} for p, d in rows]
        paused = [{**entity_form(trip), "decision": None} for trip in trips]
        broken = [{**entity_form(g), "stage": breakglass.stage(g, now), "decision": None} for g in glasses]
        terminal.document([*proposed, *asked, *paused, *broken])
        return
    for glass in glasses:
        stage = breakglass.stage(glass, now)
        todo = "" if stage == "open" else f"; review it with `noesis breakglass review {glass.id}`"
        terminal.line(f"Break-glass of {glass.get('holder')} is {stage}: {glass.get('reason')}{todo}", "bold red")
    for trip in trips:
        terminal.line(f"{trip['scope']} is paused for {trip.get('tells')}: {trip.get('reason')}", "bold")
    terminal.table(
        "",
        ["decision", "state", "operation", "amount", "needs", "agent", "why"],
        [
            (
                d.id if d is not None else "(none yet)",
                p["state"],
                p["operation"],
                p.get("amount") or "",
                ", ".join(map(str, shown(d.get("required") or ()))) if d is not None else "",
                p["agent"],
                _why(p),
            )
            for p, d in rows
        ]
        + [
            (
                d.id,
                "question",
                d["operation"],
                "",
                ", ".join(map(str, shown(d.get("required") or ()))),
                asker(d),
                brief(str(d.get("reason") or ""), 160),
            )
            for d in asking
        ],
        "Nothing waits for a person.",
    )
    if failures:
        many = f"{failures} or more" if failures == first else failures
        terminal.line(f"Proposals that could not be carried out: {many}; `noesis inbox --failed` says why.")


def _failures(reader: Reader, most: int) -> int:
    """How many failed proposals there are, counted so far; 0 where too many lie between that may not be seen."""
    try:
        return reader.count("Proposal", FAILED, most)
    except ScanLimitError:
        return 0


def _failed(session: Session, first: int, json: bool) -> None:
    with session.platform() as platform:
        found = session.reader(platform).find("Proposal", FAILED, Order(None, descending=True), None, first).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(proposal) for proposal in found])
        return
    rows = [(p.id, p["operation"], p["agent"], p.get("reason") or "") for p in found]
    terminal.table("", ["proposal", "operation", "agent", "reason"], rows, "No proposal failed.")
    if rows:
        terminal.line("`noesis runs explain PROPOSAL` says what is to blame.")


def _why(proposal: Entity) -> str:
    """The agent's reason; of an effect in doubt why it is, how it is called here and by which key the target may know it."""
    if proposal["state"] != "in_doubt":
        return brief(str(proposal.get("rationale") or ""), 160)
    known = Proposal(proposal)
    return f"{proposal.get('reason')}: effect {effect_id(known)} by {proposal['effector']}, key {key_of(known)}"


def _open_decision(decisions: list[Entity]) -> Entity | None:
    waiting = [d for d in decisions if d.get("outcome") in ("needs_approval", "escalate")]
    return max(waiting, key=lambda decision: decision.since, default=None)


def _answer(session: Session, decision: str, verdict: Answer, comment: str, json: bool) -> None:
    with session.platform() as platform:
        principal = session.principal(platform)
        answered = answer(platform.store, platform.clock, platform.rules(), decision, principal, verdict, comment)
    terminal = Terminal()
    if json:
        terminal.document(
            {
                "approval": answered.approval,
                "answer": answered.answer,
                "met": answered.met,
                "missing": {name: dict(places) for name, places in answered.missing.items()},
                "repeated": answered.repeated,
            }
        )
        return
    done = "had been answered so before" if answered.repeated else "is on record"
    terminal.line(f"Your answer ({answered.answer}) {done}: {answered.approval}")
    for name, places in answered.missing.items():
        terminal.line(f"Still missing for {name}: " + ", ".join(f"{count} {role}" for role, count in places.items()))


def approve(
    context: typer.Context,
    decision: Annotated[str | None, typer.Argument(help="Id of the decision, from `noesis inbox`.")] = None,
    comment: Comment = "",
    all_of: Annotated[str | None, typer.Option("--all-of", help="Instead: all that wait with this operation.")] = None,
    at_most: Annotated[
        int, typer.Option("--at-most", min=1, max=500, help="Refuse where more would be approved.")
    ] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Ask for no confirmation.")] = False,
    edit: Annotated[
        str | None,
        typer.Option(
            "--edit",
            help='Instead: change what it would do, as JSON: {"values": {"ID": {"property": 1}}, "payload": {"member": null}, '
            '"amount": {"amount": "9.50", "currency": "EUR"}}. The new proposal is decided again; somebody else approves it.',
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Approve what a decision asks for, or --edit it first; it is then decided again with the rules of that moment."""
    if edit is not None and (decision is None or all_of is not None):
        raise typer.BadParameter("name the decision whose proposal --edit changes")
    if (decision is None) == (all_of is None):
        raise typer.BadParameter("name one decision, or an operation with --all-of")
    if decision is not None and edit is not None:
        _edited(session_of(context), decision, edit, comment, json)
    elif decision is not None:
        _answer(session_of(context), decision, "approve", comment, json)
    elif all_of is not None:
        approve_all(session_of(context), all_of, at_most, comment, yes, json)


def _edited(session: Session, decision: str, text: str, reason: str, json: bool) -> None:
    given = parse_edit(text)
    with session.platform() as platform:
        principal = session.principal(platform)
        made = edit_proposal(platform, session.view(platform), principal, decision, given, reason)
    terminal = Terminal()
    if json:
        terminal.document({"proposal": made.proposal, "edited": made.first})
        return
    terminal.line(
        f"Proposal {made.proposal} takes the place of {made.first}; it is decided again, and others approve it."
    )


def reject(
    context: typer.Context,
    decision: Annotated[str, typer.Argument(help="Id of the decision, from `noesis inbox`.")],
    comment: Comment = "",
    json: Json = False,
) -> None:
    """Reject what a decision asks for."""
    _answer(session_of(context), decision, "reject", comment, json)


def decisions(
    context: typer.Context,
    outcome: Annotated[str | None, typer.Option("--outcome", help="allow, deny, escalate or needs_approval.")] = None,
    first: First = 20,
    json: Json = False,
) -> None:
    """List decisions, newest first; denials are on record like permissions."""
    session = session_of(context)
    with session.platform() as platform:
        where = [Where("outcome", Op.EQ, outcome)] if outcome is not None else []
        found = session.reader(platform).find("Decision", where, Order(None, descending=True), None, first).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(decision) for decision in found])
        return
    rows = [
        (
            d.id,
            d["outcome"],
            d["action"],
            d.get("operation") or "",
            d["principal"],
            brief(str(d.get("reason") or ""), 120),
        )
        for d in found
    ]
    terminal.table("", ["id", "outcome", "action", "operation", "principal", "reason"], rows, "No decisions yet.")


@keys.command("add")
def keys_add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    subject: Annotated[str, typer.Option("--for", help='Whom it stands for: a user\'s name, or Service::"erp".')],
    role: Annotated[list[str] | None, typer.Option("--role", help="Only these of the subject's roles.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days until it expires.")] = 90,
    json: Json = False,
) -> None:
    """Make an API key; it is shown once."""
    session = session_of(context)
    with session.platform() as platform:
        expires = platform.clock.now() + timedelta(days=days)
        uid = subject if "::" in subject else f"User::{subject}"
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, "key.add", apikeys.CLASS, name)
        text, entity = apikeys.create(platform.store, platform.clock, name, uid, who, roles=role, expires=expires)
    terminal = Terminal()
    if json:
        terminal.document({"key": text, "id": entity.id, "expires": expires})
        return
    terminal.line(text)
    terminal.err.print(f"Valid until {expires:%Y-%m-%d}. It is not shown again.", markup=False)


@keys.command("revoke")
def keys_revoke(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of the key's entity.")],
    reason: Reason = "revoked on the command line",
) -> None:
    """Make a key useless from now on."""
    session = session_of(context)
    with session.platform() as platform:
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, "key.revoke", apikeys.CLASS, id)
        apikeys.revoke(platform.store, platform.clock, id, who, reason)
    Terminal().line(f"Key {id} is revoked.")


@keys.command("list")
def keys_list(context: typer.Context, json: Json = False) -> None:
    """List keys; their secrets are stored as hashes and shown to nobody."""
    session = session_of(context)
    with session.platform() as platform:
        found = session.reader(platform).find("ApiKey", (), None, None, 500).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(key) for key in found])
        return
    rows = [(k.id, k["name"], k["subject"], k.get("expires") or "never", bool(k.get("revoked"))) for k in found]
    terminal.table("", ["id", "name", "for", "expires", "revoked"], rows, "No keys; make one with `noesis keys add`.")
