"""`noesis rules`: list, show, add, retire and test the Cedar rules that decide."""

import re
from pathlib import Path
from typing import Annotated

import typer

from api.cli import reviewing
from api.cli.session import session_of
from api.cli.terminal import Json, Terminal, brief, entity_form
from governance.cases import read_cases, run_cases
from governance.configuring import permit
from governance.lifecycle import Lifecycle
from governance.rulefiles import FILES_MAX, read_rules
from governance.rules import find_rule, list_rules, retire
from governance.trial import with_drafts
from kg.errors import InputError

rules = typer.Typer(no_args_is_help=True, help="Cedar rules: versioned facts of the graph, one statement each.")
#: How files of cases that stand beside rules end.
CASES = ".cases.yaml"
#: What stands before the statement itself.
ANNOTATIONS = re.compile(r'\A(?:\s*@\w+\s*(?:\(\s*"(?:[^"\\]|\\.)*"\s*\))?)+')
#: Characters of a statement in a list.
STATEMENT_MAX = 160
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]
for _name, _command in (
    ("add", reviewing.add),
    ("activate", reviewing.activate),
    ("send-back", reviewing.send_back),
    ("withdraw", reviewing.withdraw),
    ("diff", reviewing.diff),
    ("try", reviewing.try_out),
    ("analyse", reviewing.analyse_rules),
    ("export", reviewing.export),
):
    rules.command(_name)(_command)


@rules.command("list")
def rules_list(
    context: typer.Context,
    status: Annotated[str | None, typer.Option("--status", help="draft, review, active or retired.")] = None,
    json: Json = False,
) -> None:
    """List the rules and whether they are in force."""
    session = session_of(context)
    with session.platform() as platform:
        seen = session.view(platform).see(list(list_rules(platform.store, status)))
        found = [rule for rule in seen if rule is not None]
    terminal = Terminal()
    if json:
        terminal.document([entity_form(rule) for rule in found])
        return
    rows = [(r["name"], r["status"], r.version, r.get("author") or "", _statement(str(r["text"]))) for r in found]
    terminal.table(
        "", ["name", "status", "version", "author", "statement"], rows, "No rules; add some with `noesis rules add`."
    )


def _statement(text: str) -> str:
    """What a rule says, without its annotations, which its name and `rules show` tell."""
    return brief(ANNOTATIONS.sub("", text), STATEMENT_MAX)


@rules.command("show")
def rules_show(
    context: typer.Context, name: Annotated[str, typer.Argument(help="Name of the rule.")], json: Json = False
) -> None:
    """Print a rule's statement."""
    session = session_of(context)
    with session.platform() as platform:
        rule = find_rule(platform.store, name)
        shown = session.view(platform).see([rule])[0] if rule is not None else None
    if shown is None:
        raise InputError(f"there is no rule {name!r} that you may see; `noesis rules list` shows them")
    terminal = Terminal()
    if json:
        terminal.document(entity_form(shown))
        return
    terminal.line(str(shown["text"]))


@rules.command("retire")
def rules_retire(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the rule.")],
    reason: Reason = "retired on the command line",
    json: Json = False,
) -> None:
    """Ask that a rule be taken out of force; somebody else does it with `rules activate`, and it stays on record."""
    session = session_of(context)
    with session.platform() as platform:
        principal = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), principal, "rule.retire", "Rule", name)
        store, clock, ontology = platform.store, platform.clock, platform.ontology
        if platform.settings.rules_review:
            Lifecycle(store, clock, ontology).propose_retirement(name, principal, reason)
        else:
            retire(store, clock, ontology, name, principal, reason)
        rule = find_rule(store, name)
    terminal = Terminal()
    if rule is not None and json:
        terminal.document(entity_form(rule))
        return
    waits = f"stays in force until somebody else than {principal.uid} runs `noesis --as NAME rules activate {name}`"
    terminal.line(f"{name} is retired." if rule is None or rule["status"] == "retired" else f"{name} {waits}.")


@rules.command("test")
def rules_test(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(help="A YAML file of cases, or a folder: every *.cases.yaml in it, beside the rules.")
    ],
    draft: Annotated[
        Path | None, typer.Option("--with", help="A .cedar file or folder: decide as if its rules were in force.")
    ] = None,
    json: Json = False,
) -> None:
    """Decide every case by the rules in force; exit code 1 where one is decided otherwise than expected."""
    session = session_of(context)
    texts = _case_files(path)
    with session.platform() as platform:
        rules = platform.rules()
        if draft is not None:
            added = [source.text for source in read_rules(draft)]
            _, rules = with_drafts(platform.store, platform.ontology, platform.clock, added)
        results = [
            result for name, text in texts for result in run_cases(read_cases(text, platform.ontology, name), rules)
        ]
    terminal = Terminal()
    if json:
        terminal.document(
            [
                {"case": r.case.name, "passed": r.passed, "outcome": r.verdict.outcome, "reason": r.verdict.reason}
                for r in results
            ]
        )
    else:
        rows = [(r.case.name, "ok" if r.passed else "WRONG", r.verdict.outcome, r.verdict.reason) for r in results]
        terminal.table("", ["case", "", "outcome", "reason"], rows, "The file holds no cases.")
    if not all(result.passed for result in results):
        raise typer.Exit(1)


def _case_files(path: Path) -> list[tuple[str, str]]:
    """The files of cases by name, with their texts; InputError where there is none, or one cannot be read."""
    files = sorted(path.rglob(f"*{CASES}")) if path.is_dir() else [path]
    if not files or len(files) > FILES_MAX:
        found = f"more than {FILES_MAX:,}" if files else "no"
        raise InputError(f"{path} holds {found} files *{CASES}; name a file of cases")
    try:
        return [(file.name, file.read_text(encoding="utf-8")) for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text ({error}); check the path") from None
