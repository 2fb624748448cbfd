"""`noesis approve --all-of`: several answers at once, with care: shown first, bounded, confirmed, and each decided by itself.
What waits is a proposal's decision or a workflow's question, as in the inbox.

Invariant: what is answered is what was shown; a refusal of one stops none of the others and is told.
"""

from api.cli.session import Session
from api.cli.terminal import Terminal, brief, confirmed
from api.errors import SettingsError
from coordination.runs.parking import AWAITED
from governance.approvals import approve
from governance.errors import GovernanceError
from kg.errors import ConflictError
from kg.model import Entity, Op, Where
from kg.reader import Reader
from kg.store import PAGE_MAX, GraphStore


def approve_all(session: Session, operation: str, at_most: int, comment: str, yes: bool, json: bool) -> None:
    """Approve every waiting decision of an operation, at most so many; SettingsError where there are more, or none agreed."""
    terminal = Terminal()
    told: list[dict[str, object]] = []
    with session.platform() as platform:
        reader = session.reader(platform)
        where = [Where("state", Op.EQ, "waiting_approval"), Where("operation", Op.EQ, operation)]
        waiting = reader.find("Proposal", where, None, None, at_most + 1).items
        asking = [d for d in questions(platform.store, reader, PAGE_MAX) if d["operation"] == operation]
        if len(waiting) + len(asking) > at_most:
            raise SettingsError(
                f"more than {at_most} wait with {operation}; raise --at-most, or answer them one by one"
            )
        edges = reader.expand([p.id for p in waiting], "decidedBy", first=20)
        proposed = [(p, d) for p in waiting if (d := _asking([edge.entity for edge in edges[p.id]])) is not None]
        asked = [d for _, d in proposed] + asking
        if not json:
            rows = [
                (d.id, p.get("amount") or "", p["agent"], brief(str(p.get("rationale") or ""), 120))
                for p, d in proposed
            ]
            rows += [(d.id, "", asker(d), brief(str(d.get("reason") or ""), 120)) for d in asking]
            terminal.table("", ["decision", "amount", "agent", "why"], rows, f"Nothing waits with {operation}.")
        if asked and not yes and not confirmed(f"Approve these {len(asked)}?"):
            raise SettingsError("nothing was approved; confirm, or give --yes")
        principal = session.principal(platform)
        for decision in asked:
            try:
                done = approve(
                    platform.store, platform.clock, platform.rules(), decision.id, principal, "approve", comment
                )
                told.append({"decision": decision.id, "approval": done.approval, "met": done.met})
            except (GovernanceError, ConflictError) as error:
                told.append({"decision": decision.id, "refused": str(error)})
    if json:
        terminal.document(told)
        return
    for item in told:
        terminal.line(f"{item['decision']}: {item.get('refused') or 'approved, ' + str(item.get('approval'))}")


def questions(store: GraphStore, reader: Reader, first: int) -> list[Entity]:
    """The decisions that steps of workflows wait for, as the reader may see them."""
    awaited = [row.key for row in store.scan(AWAITED, first=PAGE_MAX)]
    found = [entity for entity in reader.get(awaited).values() if entity.cls == "Decision"]
    return sorted(found, key=lambda decision: decision.since)[:first]


def asker(decision: Entity) -> str:
    """The workflow that asks, without the words around its name."""
    return str(decision["principal"]).removeprefix('Agent::"').removesuffix('"')


def _asking(decisions: list[Entity]) -> Entity | None:
    waiting = [d for d in decisions if d.get("outcome") == "needs_approval"]
    return max(waiting, key=lambda decision: decision.since, default=None)
