"""`noesis search`, `context`, `why`: what the graph knows and why, always as the acting principal may see it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.session import session_of
from api.cli.terminal import First, Json, Terminal, entity_form, shown
from kg.lineage import prov_json
from kg.lineage import why as ask_why
from kg.search import search as find
from kg.values import canonical

#: Characters of one property in a table.
SHORT = 70


def _summary(properties: Any) -> str:
    parts = [f"{name}={str(shown(value))[:SHORT]}" for name, value in sorted(properties.items())]
    return "  ".join(parts[:6])


def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to look for, in words or by meaning.")],
    cls: Annotated[list[str] | None, typer.Option("--class", "-c", help="Only entities of this class.")] = None,
    near: Annotated[list[str] | None, typer.Option("--near", help="Id of an entity to look around.")] = None,
    first: First = 10,
    json: Json = False,
) -> None:
    """Find entities by meaning, words and neighbourhood; each hit says which of the three found it."""
    session = session_of(context)
    with session.platform(index=True) as platform:
        # What a search weighs is more than what it finds: only the hits are told.
        view = platform.view(session.principal(platform))
        result = find(
            platform.store,
            platform.index,
            platform.embedder,
            view,
            platform.ontology,
            text,
            cls or (),
            first,
            near or (),
        )
        session.tell(platform, (hit.entity for hit in result.hits))
    terminal = Terminal()
    if json:
        hits = [{**entity_form(hit.entity), "score": round(hit.score, 6), "why": list(hit.why)} for hit in result.hits]
        terminal.document({"hits": hits, "behind": result.behind, "fallback": result.fallback})
        return
    if result.fallback:
        terminal.err.print(f"note: {result.fallback}", markup=False)
    if result.behind:
        terminal.err.print(
            f"note: the index is {result.behind:,} changes behind; `noesis work` catches up", markup=False
        )
    rows = [
        (f"{hit.score:.4f}", hit.entity.cls, hit.entity.id, "+".join(hit.why), _summary(hit.entity.properties))
        for hit in result.hits
    ]
    terminal.table("", ["score", "class", "id", "found by", "entity"], rows, "Nothing found that you may see.")


def show_context(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of an entity.")],
    first: First = 50,
    json: Json = False,
) -> None:
    """Show an entity with its neighbours in every department."""
    session = session_of(context)
    with session.platform() as platform:
        reader = session.reader(platform)
        entity = reader.get([id]).get(id)
        relations = reader.relations([id]).get(id, ())[:first] if entity is not None else ()
        far = {r.target if r.source == id else r.source for r in relations}
        others = reader.get(sorted(far))
        departments = {name: cls.department for name, cls in platform.ontology.classes.items()}
    terminal = Terminal()
    if entity is None:
        terminal.err.print(f"noesis: there is no entity {id!r} that you may see; check the id", markup=False)
        raise typer.Exit(1)
    rows = []
    for relation in relations:
        other = others.get(relation.target if relation.source == id else relation.source)
        if other is not None:
            rows.append((("→ " if relation.source == id else "← ") + relation.name, other))
    if json:
        neighbours = [{"relation": name, **entity_form(other)} for name, other in rows]
        terminal.document({**entity_form(entity), "neighbours": neighbours})
        return
    terminal.line(f"{entity.cls} {entity.id}, version {entity.version}")
    for name, value in sorted(entity.properties.items()):
        terminal.line(f"  {name}: {str(shown(value))[:400]}")
    for name in sorted(entity.masked):
        terminal.line(f"  {name}: (withheld)")
    terminal.table(
        "",
        ["relation", "class", "department", "id", "entity"],
        [(name, o.cls, departments.get(o.cls) or "", o.id, _summary(o.properties)) for name, o in rows],
        "No neighbours that you may see.",
    )


def why(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of an entity, proposal, decision or effect.")],
    property: Annotated[str | None, typer.Option("--property", "-p", help="Explain this property only.")] = None,
    depth: Annotated[int, typer.Option("--depth", "-d", min=1, max=50, help="Steps back.")] = 10,
    prov: Annotated[Path | None, typer.Option("--prov", help="Write the answer as PROV-JSON to this file.")] = None,
    json: Json = False,
) -> None:
    """Trace a value back to the records, rules, people and models behind it."""
    session = session_of(context)
    with session.platform() as platform:
        answer = ask_why(platform.store, session.view(platform), id, property, depth)
    terminal = Terminal()
    if prov is not None:
        prov.write_text(canonical(prov_json(answer)) + "\n", encoding="utf-8")
    if json:
        terminal.document(answer.json())
        return
    for line in answer.lines():
        terminal.line(line)
    if prov is not None:
        terminal.err.print(f"PROV-JSON written to {prov}", markup=False)
