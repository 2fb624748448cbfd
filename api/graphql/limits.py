"""Limits: how large a GraphQL document may be, measured before anything of it runs.

Tokens and nesting are counted while lexing, so that no parser recurses into a hostile text; depth, aliases and cost are measured
on the parsed document with every fragment measured once, so chained fragments cannot make the measuring itself explode. Cost is
the number of objects that an operation may ask for: `first`, from the document, its variables or the schema, multiplies
what lies below them. Invariant: a document beyond a limit is refused before validation and execution.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    Lexer,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Source,
    TokenKind,
    VariableNode,
    get_named_type,
    is_composite_type,
)
from strawberry.extensions import SchemaExtension

from api.settings import Settings
from kg.store import PAGE_MAX

#: Brackets open at once in a document's text; the parser needs some frames of the stack for each.
NESTING_MAX = 100
#: Characters of one number; Python refuses to read whole numbers of more than 4,300.
DIGITS_MAX = 400
#: What an object of these types costs more than one row does, in rows: each is a call of its own, or reads many rows.
WEIGHTS: Mapping[str, int] = {"Why": 50, "SearchAnswer": 50, "Count": 20, "EntityVersion": 5, "Change": 2}
_WRAPPERS = ("Connection", "Edge")
_PAGED = frozenset({"edges", "nodes"})
_NUMBERS = frozenset({TokenKind.INT, TokenKind.FLOAT})
_OPEN = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_CLOSE = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})


def too_costly(message: str) -> GraphQLError:
    """The refusal of a document that is too large."""
    return GraphQLError(message, extensions={"code": "TOO_COSTLY"})


def check_text(text: str, tokens_max: int) -> None:
    """Raise where a document has too many tokens, digits, or brackets in brackets; leaves syntax errors to the parser."""
    lexer = Lexer(Source(text))
    nesting = 0
    for _ in range(tokens_max + 1):
        token = lexer.advance()
        kind = token.kind
        if kind is TokenKind.EOF:
            return
        if kind in _NUMBERS and len(token.value or "") > DIGITS_MAX:
            raise too_costly(f"the query holds a number of more than {DIGITS_MAX} digits; no value is as long")
        nesting += (kind in _OPEN) - (kind in _CLOSE)
        if nesting > NESTING_MAX:
            raise too_costly(f"the query nests more than {NESTING_MAX} brackets; ask in several requests")
    raise too_costly(f"the query has more than {tokens_max:,} tokens; ask in several requests")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a selection is. `items` is the part of its cost that a page's `first` multiplies."""

    depth: int = 0
    aliases: int = 0
    cost: int = 0
    items: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.cost + other.cost,
            self.items + other.items,
        )


@dataclass(slots=True)
class Measure:
    """Measures the operations of one document against one schema."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    _known: dict[str, Size] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def selection(self, node: SelectionSetNode, parent: GraphQLNamedType | None) -> Size:
        """The size of one selection set on a type."""
        total = Size()
        for part in node.selections:
            if isinstance(part, FieldNode):
                total += self._field(part, parent)
            elif isinstance(part, InlineFragmentNode):
                named = part.type_condition.name.value if part.type_condition else None
                total += self.selection(part.selection_set, self.schema.get_type(named) if named else parent)
            elif isinstance(part, FragmentSpreadNode):
                total += self._fragment(part.name.value)
        return total

    def _fragment(self, name: str) -> Size:
        fragment = self.fragments.get(name)
        # A fragment inside itself is refused by validation; here it must only not be followed for ever.
        if fragment is None or name in self._open:
            return Size()
        if name not in self._known:
            self._open.add(name)
            on = self.schema.get_type(fragment.type_condition.name.value)
            self._known[name] = self.selection(fragment.selection_set, on)
            self._open.discard(name)
        return self._known[name]

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Size:
        name, alias = node.name.value, int(node.alias is not None)
        definition: GraphQLField | None = getattr(parent, "fields", {}).get(name)
        of = get_named_type(definition.type) if definition is not None else None
        below = self.selection(node.selection_set, of) if node.selection_set else Size()
        aliases = below.aliases + alias
        if name.startswith("__"):
            return Size(0, aliases, 1, 0)
        depth = below.depth + 1
        if of is None or not is_composite_type(of):
            return Size(depth, aliases, below.cost, 0)
        own = 0 if of.name.endswith(_WRAPPERS) or of.name == "PageInfo" else WEIGHTS.get(of.name, 1)
        times = self._times(node, definition)
        if of.name.endswith("Connection"):
            return Size(depth, aliases, 1 + below.cost + times * below.items, 0)
        cost = times * (own + below.cost + below.items)
        paged = parent is not None and parent.name.endswith("Connection") and name in _PAGED
        return Size(depth, aliases, 0, cost) if paged else Size(depth, aliases, cost, 0)

    def _times(self, node: FieldNode, definition: GraphQLField | None) -> int:
        """How many times a field's objects may come: its `first`, or the number of its `ids`."""
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        known = definition.args if definition is not None else {}
        if "first" in known:
            default = known["first"].default_value
            return self._number(arguments["first"], default) if "first" in arguments else _bounded(default)
        if "ids" in known and "ids" in arguments:
            given = arguments["ids"]
            if isinstance(given, ListValueNode):
                return max(1, len(given.values))
            value = self.variables.get(given.name.value) if isinstance(given, VariableNode) else None
            return max(1, len(value)) if isinstance(value, list) else 1
        return 1

    def _number(self, value: Any, default: Any) -> int:
        if isinstance(value, IntValueNode):
            return _bounded(int(value.value)) if len(value.value) < 10 else PAGE_MAX
        if isinstance(value, VariableNode):
            name = value.name.value
            return _bounded(self.variables.get(name, self.defaults.get(name, default)))
        return PAGE_MAX


def _bounded(value: Any) -> int:
    """A page size for counting: what is no number, or out of range, counts as the largest page."""
    return value if isinstance(value, int) and 0 < value <= PAGE_MAX else PAGE_MAX


def _defaults(operation: OperationDefinitionNode) -> Iterator[tuple[str, int]]:
    for definition in operation.variable_definitions or ():
        if isinstance(definition.default_value, IntValueNode) and len(definition.default_value.value) < 10:
            yield definition.variable.name.value, int(definition.default_value.value)


def measure(schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> Size:
    """The size of all operations of a document together."""
    fragments = {part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)}
    roots = {
        OperationType.QUERY: schema.query_type,
        OperationType.MUTATION: schema.mutation_type,
        OperationType.SUBSCRIPTION: schema.subscription_type,
    }
    total = Size()
    for part in document.definitions:
        if isinstance(part, OperationDefinitionNode):
            counting = Measure(schema, fragments, variables, dict(_defaults(part)))
            total += counting.selection(part.selection_set, roots[part.operation])
    return total


def check_size(size: Size, settings: Settings) -> None:
    """Raise where a measured document is beyond a limit."""
    if size.depth > settings.depth_max:
        raise too_costly(
            f"the query is {size.depth} levels deep; at most {settings.depth_max}: ask in several requests"
        )
    if size.aliases > settings.aliases_max:
        raise too_costly(
            f"the query has {size.aliases} aliases; at most {settings.aliases_max}: ask in several requests"
        )
    cost = size.cost + size.items
    if cost > settings.cost_max:
        raise too_costly(
            f"the query may ask for {cost:,} objects; at most {settings.cost_max:,}: lower `first`, or ask in several requests"
        )


def _named(document: DocumentNode, name: str | None) -> None:
    """Raise where a document has several operations and none is chosen: guessing one would run what was not meant."""
    several = sum(isinstance(part, OperationDefinitionNode) for part in document.definitions) > 1
    if several and not name:
        raise GraphQLError("the document has several operations; say by operationName which one to run")


def limits(settings: Settings) -> type[SchemaExtension]:
    """The extension that holds every operation to the limits of these settings."""

    class Limits(SchemaExtension):
        def on_parse(self) -> Iterator[None]:
            """Refuse a text that is too long before it is parsed."""
            if self.execution_context.query:
                check_text(self.execution_context.query, settings.tokens_max)
            yield

        def on_validate(self) -> Iterator[None]:
            """Refuse a document that is too large before it is validated."""
            context = self.execution_context
            if context.graphql_document is not None:
                schema: Any = context.schema
                check_size(measure(schema._schema, context.graphql_document, context.variables or {}), settings)
                _named(context.graphql_document, context.context.name)
            yield

    return Limits
