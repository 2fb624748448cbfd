"""`noesis explain` and `noesis replay`: why a decision came out as it did, and whether it would again."""

from typing import Annotated

import typer
from rich.tree import Tree

from api.cli.session import Session, session_of
from api.cli.terminal import Json, Terminal, escaped
from api.platform import Noesis
from coordination.replaying import replay_decision
from governance.counterfactual import turn
from governance.errors import ReplayError
from governance.explaining import Branch, Explanation, explain
from governance.replay import Replayed
from governance.rulebook import RuleBook
from kg.errors import InputError
from kg.model import Direction, Entity
from kg.reader import Reader
from kg.store import PAGE_MAX, GraphStore
from kg.view import View

Decision = Annotated[str, typer.Argument(help="Id of the decision, from `noesis decisions` or `noesis inbox`.")]
#: Answers of one decision that are shown.
ANSWERS_MAX = 100


def show_explanation(context: typer.Context, decision: Decision, json: Json = False) -> None:
    """Explain a decision: who asked, which rules and facts decided, what people answered, and what would turn it."""
    session = session_of(context)
    with session.platform() as platform:
        found = _explain(platform, session, _decision(platform, session, decision))
    terminal = Terminal()
    if json:
        facts = found.turn.facts if found.turn is not None else ()
        terminal.document(
            {
                "paragraph": found.paragraph,
                "tree": _form(found.tree),
                "turn": [{"variable": f.variable, "name": f.name, "wanted": f.wanted} for f in facts],
                "turned": found.turn.verdict.outcome if found.turn is not None else None,
            }
        )
        return
    terminal.line(found.paragraph)
    terminal.out.print(_drawn(found.tree))


def replay(
    context: typer.Context,
    decision: Decision,
    today: Annotated[bool, typer.Option("--today", help="By today's rules instead of those of then.")] = False,
    json: Json = False,
) -> None:
    """Make a decision again from its record: what was known then, by the rules of then; exit code 1 where it differs."""
    session = session_of(context)
    with session.platform() as platform:
        entity = _decision(platform, session, decision)
        made = replay_decision(platform.store, platform.ontology, entity, platform.rules() if today else None)
    terminal = Terminal()
    if json:
        terminal.document(_replayed(made))
    elif made.same:
        terminal.line(f"The same again: {made.verdict.outcome}. {made.verdict.reason}")
    else:
        for difference in made.differences:
            terminal.line(f"{difference[0].upper()}{difference[1:]}.")
    if not made.same:
        raise typer.Exit(1)


def _replayed(made: Replayed) -> dict[str, object]:
    return {
        "decision": made.decision.id,
        "against": made.against,
        "recorded": made.decision["outcome"],
        "outcome": made.verdict.outcome,
        "reason": made.verdict.reason,
        "same": made.same,
        "differences": list(made.differences),
    }


def _decision(platform: Noesis, session: Session, id: str) -> Entity:
    found = platform.store.get([id]).get(id)
    seen = session.view(platform).see([found])[0] if found is not None else None
    if found is None or seen is None or found.cls != "Decision":
        raise InputError(f"there is no decision {id[:80]!r} that you may see; `noesis decisions` lists them")
    return found


def _explain(platform: Noesis, session: Session, decision: Entity) -> Explanation:
    store, view = platform.store, session.view(platform)

    def seen(wanted: object) -> list[Entity]:
        pairs = [
            (id, int(version))
            for id, _, version in (str(w).rpartition("@") for w in _many(wanted))
            if version.isdigit()
        ]
        return list(Reader(store, view).versions(pairs).values())

    edges = store.expand([decision.id], "wasInformedBy", Direction.IN, first=ANSWERS_MAX)[decision.id]
    answers = [entity for entity in view.see([edge.entity for edge in edges]) if entity is not None]
    shown = view.see([decision])[0] or decision
    turning = None
    try:
        again = replay_decision(store, platform.ontology, decision)
        resource = again.request.resource
        visible = view.see([resource])[0] if isinstance(resource, Entity) else None
        # INVARIANT I10: what would turn a verdict is told only from facts that the reader may see.
        hidden = frozenset(resource.properties) - frozenset(visible.properties if visible is not None else ())
        rules = platform.rules()
        turning = turn(again.request, rules, again.verdict, hidden, _unread(store, view, rules))
    except ReplayError:
        turning = None
    return explain(shown, seen(decision.get("rules")), seen(decision.get("used")), answers, turning)


def _unread(store: GraphStore, view: View, rules: RuleBook) -> frozenset[str]:
    """The rules in force that the reader may not see."""
    ids = [statement.id for statement in rules.statements]
    seen: set[str] = set()
    for start in range(0, len(ids), PAGE_MAX):
        found = list(store.get(ids[start : start + PAGE_MAX]).values())
        seen.update(rule.id for rule in view.see(found) if rule is not None)
    return frozenset(ids) - seen


def _many(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _form(branch: Branch) -> dict[str, object]:
    return {"text": branch.text, "below": [_form(below) for below in branch.below]}


def _drawn(branch: Branch) -> Tree:
    tree = Tree(escaped(branch.text))
    for below in branch.below:
        tree.add(_drawn(below))
    return tree
