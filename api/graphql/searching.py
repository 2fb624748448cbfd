"""Search as GraphQL answers it: hits by meaning, words and nearness, and how far the index is behind the graph.

Invariant I10: `kg.search` takes the operation's View and every hit has passed it. It answers for now only; an operation as of
an earlier position is refused rather than answered with today's.
"""

from typing import Any

import strawberry

from api.errors import BadRequestError
from api.graphql.changes import ENTITY
from api.graphql.operations import Operation
from kg.ontology.names import graphql_type
from kg.ontology.ontology import Ontology

HITS_MAX = 100
#: Characters of a search text.
TEXT_MAX = 2_000
NEAR_MAX = 20


@strawberry.type(description="One thing found.")
class SearchHit:
    row: strawberry.Private[Any]
    score: float
    why: list[str] = strawberry.field(description="The lists that brought it: dense, sparse, near or text.")
    entity = strawberry.field(resolver=lambda self: self.row, graphql_type=ENTITY)


@strawberry.type(description="What was found, best first.")
class SearchAnswer:
    hits: list[SearchHit]
    behind: int = strawberry.field(description="Changes that the index has not seen yet, also while it is away.")
    fallback: str | None = strawberry.field(description="Why the answer came from the words alone; null: it did not.")


def class_named(ontology: Ontology, shown: str) -> str:
    """The class that a GraphQL type name means; BadRequestError where there is none."""
    for name in ontology.classes:
        if shown in (name, graphql_type(name)):
            return name
    raise BadRequestError(f"there is no class {shown[:80]!r}; give names of types such as Customer")


async def find_text(operation: Operation, text: str, classes: list[str], near: list[str], first: int) -> SearchAnswer:
    """Search now, through the View."""
    from kg.search import search

    if operation.at is not None:
        raise BadRequestError("search answers for now only; leave @asOf out")
    if not 1 <= first <= HITS_MAX:
        raise BadRequestError(f"first: {first} is outside 1 to {HITS_MAX}; ask for a number within")
    if not text.strip() or len(text) > TEXT_MAX or len(near) > NEAR_MAX:
        raise BadRequestError(
            f"a search needs 1 to {TEXT_MAX:,} characters and at most {NEAR_MAX} ids in near; shorten it"
        )
    platform = operation.platform
    found = await operation.call(
        search,
        platform.store,
        platform.index,
        platform.embedder,
        operation.view,
        platform.ontology,
        text,
        classes=[class_named(platform.ontology, name) for name in classes],
        first=first,
        near=near,
    )
    hits = [SearchHit(row=operation.row(hit.entity), score=hit.score, why=list(hit.why)) for hit in found.hits]
    return SearchAnswer(hits=hits, behind=found.behind, fallback=found.fallback)
