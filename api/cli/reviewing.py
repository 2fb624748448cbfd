"""`noesis rules`, second part: the way of a rule into force and out of it, trials over past decisions, and analysis."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from difflib import unified_diff
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.session import Session, session_of
from api.cli.terminal import Json, Terminal, entity_form
from api.platform import Noesis
from coordination.replaying import replay_decision
from governance.analysis import Finding, analyse, mentioned
from governance.configuring import permit
from governance.lifecycle import Interval, Lifecycle
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.rulefiles import Source, import_rules, read_rules
from governance.rules import find_rule, list_rules
from governance.statement import parse_rule
from governance.trial import DECISIONS_MAX, Trial, past, try_rules, with_drafts, without
from kg.errors import InputError
from kg.model import Direction, Entity, Op, Where
from kg.store import PAGE_MAX

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]
Name = Annotated[str, typer.Argument(help="Name of the rule.")]
Move = Callable[[Lifecycle, str, Principal, str], Entity]


def add(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A .cedar file, or a folder of them.")],
    reason: Reason = "added on the command line",
    start: Annotated[str | None, typer.Option("--from", help="Instant from which the rules count.")] = None,
    end: Annotated[str | None, typer.Option("--until", help="Instant before which they count.")] = None,
    json: Json = False,
) -> None:
    """Hand rules in for review, after all of them were checked; somebody else puts them in force with `rules activate`."""
    session, interval = session_of(context), Interval(_instant(start), _instant(end))
    sources = read_rules(path)
    with session.platform() as platform:
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, "rule.add", "Rule", path.name)
        if platform.settings.rules_review:
            added = _hand_in(platform, sources, who, reason, interval)
        elif interval != Interval():
            raise InputError("an interval needs the review; set rules_review, or leave --from and --until out")
        else:
            added = list(import_rules(platform.store, platform.clock, platform.ontology, sources, who, reason))
    terminal = Terminal()
    if json:
        terminal.document([entity_form(rule) for rule in added])
        return
    for rule in added:
        terminal.line(f"{rule['name']}: {_state(rule)} (version {rule.version}).")
    if platform.settings.rules_review and added:
        terminal.line(
            f"Somebody else than {who.uid} puts it in force: "
            f"noesis --as NAME rules activate {added[0]['name']} --version {added[0].version}"
        )


def _hand_in(
    platform: Noesis, sources: tuple[Source, ...], who: Principal, reason: str, interval: Interval
) -> list[Entity]:
    # All of them are checked before the first is written.
    with_drafts(platform.store, platform.ontology, platform.clock, [source.text for source in sources])
    life = Lifecycle(platform.store, platform.clock, platform.ontology)
    added = []
    for source in sources:
        name, _ = parse_rule(source.text)
        present = find_rule(platform.store, name)
        if present is not None and present["text"] == source.text and present["status"] == "active":
            added.append(present)
            continue
        life.draft(source.text, who, reason, interval, source.origin)
        added.append(life.submit(name, who, reason))
    return added


def _state(rule: Entity) -> str:
    following = f", its {rule.get('nextKind')} in {rule.get('nextStage')}" if rule.get("nextStage") else ""
    return f"{rule['status']}{following}"


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:60]!r} is no instant; write it as 2026-01-31T00:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _move(context: typer.Context, name: str, reason: str, operation: str, move: Move, json: bool) -> None:
    session = session_of(context)
    with session.platform() as platform:
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, operation, "Rule", name)
        rule = move(Lifecycle(platform.store, platform.clock, platform.ontology), name, who, reason)
    terminal = Terminal()
    if json:
        terminal.document(entity_form(rule))
        return
    terminal.line(f"{rule['name']}: {_state(rule)} (version {rule.version}).")


def activate(
    context: typer.Context, name: Name, reason: Reason = "reviewed on the command line",
    version: Annotated[
        int, typer.Option("--version", min=0, help="The version you read; another one is refused. 0: whatever it is now.")
    ] = 0,
    json: Json = False,
) -> None:  # fmt: skip
    """Put a rule that is in review in force, or carry out its change or retirement; never by its own author."""

    def move(life: Lifecycle, name: str, who: Principal, reason: str) -> Entity:
        return life.activate(name, who, reason, version)

    _move(context, name, reason, "rule.activate", move, json)


def send_back(
    context: typer.Context, name: Name, reason: Reason = "sent back on the command line", json: Json = False
) -> None:
    """Return a rule in review to its author."""
    _move(context, name, reason, "rule.send_back", Lifecycle.send_back, json)


def withdraw(
    context: typer.Context, name: Name, reason: Reason = "withdrawn on the command line", json: Json = False
) -> None:
    """Drop a draft, or what would succeed a rule in force."""
    _move(context, name, reason, "rule.withdraw", Lifecycle.withdraw, json)


def diff(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a rule, or a .cedar file or folder.")],
    json: Json = False,
) -> None:
    """Show what each version of a rule changed and what waits to succeed it; of files what adding them would change."""
    session = session_of(context)
    if Path(name).exists():
        _compared(session, Path(name), json)
        return
    with session.platform() as platform:
        rule = find_rule(platform.store, name)
        history = platform.store.history(rule.id) if rule is not None else []
        seen = [entity for entity in session.view(platform).see(history) if entity is not None]
    if not seen:
        raise InputError(f"there is no rule {name!r} that you may see; `noesis rules list` shows them")
    texts = [(f"version {r.version}, {r['status']}, by {r.get('author')}", str(r["text"])) for r in seen]
    if (following := seen[-1].get("nextText")) is not None:
        waits = f"version {seen[-1].version}, in {seen[-1]['nextStage']}, by {seen[-1].get('nextAuthor')}"
        texts.append((waits, str(following)))
    # Of versions with one text the newest stands for all: it is the one that `activate --version` takes.
    texts = [one for one, after in zip(texts, [*texts[1:], ("", None)], strict=True) if one[1] != after[1]]
    steps = [
        {"from": one, "to": other, "diff": _lines(before, after, one, other)}
        for (one, before), (other, after) in pairwise([("nothing", ""), *texts])
    ]
    terminal = Terminal()
    if json:
        terminal.document(steps)
        return
    for step in steps:
        _print(terminal, step["diff"])


def _compared(session: Session, path: Path, json: bool) -> None:
    """What files would change of the rules that whoever asks may see."""
    sources = read_rules(path)
    with session.platform() as platform:
        view = session.view(platform)
        seen = [rule for rule in view.see(list(list_rules(platform.store))) if rule is not None]
    known = {str(rule["name"]): rule for rule in seen}
    told: list[dict[str, Any]] = []
    for source in sources:
        name, _ = parse_rule(source.text)
        rule = known.pop(name, None)
        before = str(rule["text"]) if rule is not None else ""
        state = "new" if rule is None else "same" if before == source.text else "changed"
        where = f"{rule['status']}, version {rule.version}" if rule is not None else "nothing"
        lines = _lines(before, source.text, f"{name} ({where})", source.origin)
        told.append({"rule": name, "file": source.origin, "state": state, "diff": lines})
    left = sorted(name for name, rule in known.items() if rule["status"] == "active")
    terminal = Terminal()
    if json:
        terminal.document({"rules": told, "notInFiles": left})
        return
    for one in told:
        _print(terminal, one["diff"])
    same = sum(one["state"] == "same" for one in told)
    terminal.line(f"{len(told) - same:,} rules differ, {same:,} are the same, {len(left):,} in force stand in no file.")


def _lines(before: str, after: str, one: str, other: str) -> list[str]:
    return list(unified_diff(before.splitlines(), after.splitlines(), one, other, lineterm=""))


def _print(terminal: Terminal, lines: Sequence[str]) -> None:
    for line in lines:
        terminal.line(line, "green" if line.startswith("+") else "red" if line.startswith("-") else None)


def try_out(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A .cedar file or folder, or the name of a rule that waits.")],
    retire: Annotated[bool, typer.Option("--retire", help="Try what retiring the named rule would change.")] = False,
    first: Annotated[int, typer.Option("--first", min=1, max=DECISIONS_MAX, help="Past decisions at most.")] = 10_000,
    follow: Annotated[
        float, typer.Option("--follow", min=0, max=3600, help="Then watch new decisions for so many seconds.")
    ] = 0,
    json: Json = False,
) -> None:
    """Make past decisions again with a draft and tell which would change, whose, and how many; nothing is put in force."""
    session = session_of(context)
    terminal = Terminal()
    with session.platform() as platform:
        books = _books(platform, what, retire)
        head = platform.store.head().position

        def replay(decision: Entity, rules: RuleBook) -> Any:
            return replay_decision(platform.store, platform.ontology, decision, rules)

        def seen(decisions: Iterator[Entity]) -> Iterator[Entity]:
            view = session.view(platform)
            return (entity for decision in decisions if (entity := view.see([decision])[0]) is not None)

        trial = try_rules(seen(past(platform.store, first)), replay, books)
        if follow:
            _add(trial, try_rules(seen(_coming(platform, head, follow)), replay, books))
    _report(terminal, trial, json)


def _books(platform: Noesis, what: str, retire: bool) -> tuple[RuleBook, RuleBook]:
    store, ontology, clock = platform.store, platform.ontology, platform.clock
    rule = find_rule(store, what)
    if retire:
        if rule is None:
            raise InputError(f"no rule is called {what[:120]!r}; `noesis rules list` shows them")
        return without(store, ontology, clock, what)
    if Path(what).exists():
        return with_drafts(store, ontology, clock, [source.text for source in read_rules(Path(what))])
    if rule is None:
        raise InputError(f"{what[:120]!r} is neither a file nor a rule; `noesis rules list` shows the rules")
    if rule.get("nextKind") == "retirement":
        return without(store, ontology, clock, what)
    return with_drafts(store, ontology, clock, [str(rule.get("nextText") or rule["text"])])


def _coming(platform: Noesis, position: int, seconds: float) -> Iterator[Entity]:
    """Decisions recorded from now on, for a while."""
    import time

    end = platform.clock.monotonic() + seconds
    while platform.clock.monotonic() < end:
        changes = platform.store.changes(position, PAGE_MAX)
        made = [change.subject for change in changes if change.cls == "Decision" and change.version == 1]
        yield from platform.store.get(made).values()
        position = changes[-1].position if changes else position
        if not changes:
            time.sleep(0.2)


def _add(trial: Trial, more: Trial) -> None:
    trial.seen += more.seen
    trial.unclear += more.unclear
    trial.changed += more.changed
    trial.turns += more.turns
    trial.principals += more.principals


def _report(terminal: Terminal, trial: Trial, json: bool) -> None:
    if json:
        terminal.document(
            {
                "decisions": trial.seen,
                "unclear": trial.unclear,
                "changes": [{"before": b, "after": a, "count": n} for (b, a), n in trial.turns.most_common()],
                "principals": dict(trial.principals.most_common()),
                "changed": [
                    {"decision": c.decision.id, "before": c.before, "after": c.after, "reason": c.reason}
                    for c in trial.changed
                ],
            }
        )
        return
    count = sum(trial.turns.values())
    terminal.line(
        f"{trial.seen:,} decisions made again, {count:,} would change, {trial.unclear:,} cannot be made again."
    )
    rows = [(b, a, f"{n:,}") for (b, a), n in trial.turns.most_common()]
    if rows:
        terminal.table("", ["is", "would be", "decisions"], rows, "")
        terminal.table("", ["whose", "decisions"], trial.principals.most_common(20), "")
        shown = [
            (c.decision.id, c.decision.get("operation") or c.decision["action"], c.before, c.after, c.reason)
            for c in trial.changed[:20]
        ]
        terminal.table("", ["decision", "operation", "is", "would be", "why"], shown, "")


def analyse_rules(context: typer.Context, json: Json = False) -> None:
    """Find rules that never match, are shadowed or add nothing, and departments without rules; exit code 1 where there are any."""
    session = session_of(context)
    with session.platform() as platform:
        session.principal(platform)
        rules = platform.rules()
        found = analyse(rules, {one for one in mentioned(rules) if _there(platform, *one)})
    terminal = Terminal()
    if json:
        terminal.document([{"kind": f.kind, "subject": f.subject, "text": f.text} for f in found])
    else:
        terminal.table(
            "", ["finding", "about", "what"], [_row(f) for f in found], "Nothing is wrong with the rules in force."
        )
    if found:
        raise typer.Exit(1)


def _row(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.subject, finding.text


def _there(platform: Noesis, kind: str, name: str) -> bool:
    """Whether a principal is there, or somebody holds a role or is in a department."""
    found = platform.store.find(kind, [Where("name", Op.EQ, name)], first=1).items
    relation = {"Role": "hasRole", "Department": "inDepartment"}.get(kind)
    if not found or relation is None:
        return bool(found)
    return bool(platform.store.expand([found[0].id], relation, Direction.IN, first=1)[found[0].id])


def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder, made where it is not there.")],
    status: Annotated[str, typer.Option("--status", help="active, draft, review or retired.")] = "active",
    json: Json = False,
) -> None:
    """Write each rule of a status to a .cedar file of its own; `rules add` reads the folder back, `rules diff` compares it."""
    session: Session = session_of(context)
    with session.platform() as platform:
        seen = session.view(platform).see(list(list_rules(platform.store, status)))
        found = [rule for rule in seen if rule is not None]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rule in found:
            (folder / f"{rule['name']}.cedar").write_text(f"{rule['text']}\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); choose another folder") from None
    terminal = Terminal()
    if json:
        terminal.document({"folder": str(folder), "rules": [str(rule["name"]) for rule in found]})
        return
    terminal.line(f"{len(found):,} rules written to {folder}.")
