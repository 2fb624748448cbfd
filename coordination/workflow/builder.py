"""Builds workflow documents in Python: typed functions for the twelve tasks, giving the same document as the text would.

Invariant: what is built is plain JSON of the specification and is checked like any text, so no second way to run exists.
Names that Python keeps for itself end in an underscore (`for_`, `try_`, `raise_`); `then`, `input_from` and the like are the
specification's fields. Runs nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, NamedTuple

from coordination.errors import WorkflowError
from coordination.workflow.document import Document, of_body
from coordination.workflow.validation import NAMED_MAX, errors, validate
from kg.jq import Jq
from kg.values import Json

#: The version of the specification that is built.
DSL: Final = "1.0.3"

Body = Mapping[str, Json]
#: Seconds, an ISO 8601 text, an expression, or a mapping of units.
Duration = int | float | str | Mapping[str, int]


class Named(NamedTuple):
    """A task under its name, as lists hold them."""

    name: str
    body: Body


@dataclass(frozen=True, slots=True)
class Common:
    """What every task may say besides what it does; fields left out are absent from the document."""

    if_: str | None = None
    input_from: Json = None
    input_schema: Json = None
    output_as: Json = None
    output_schema: Json = None
    export_as: Json = None
    timeout: Duration | None = None
    timeout_named: str | None = None
    then: str | None = None
    metadata: Mapping[str, Json] | None = None

    def fields(self) -> dict[str, Json]:
        """As the document has them."""
        found: dict[str, Json] = {"if": self.if_, "then": self.then, "metadata": self.metadata}
        found["input"] = _present({"schema": _schema(self.input_schema), "from": self.input_from})
        found["output"] = _present({"schema": _schema(self.output_schema), "as": self.output_as})
        found["export"] = _present({"as": self.export_as})
        found["timeout"] = {"after": duration(self.timeout)} if self.timeout is not None else self.timeout_named
        return {name: value for name, value in found.items() if value not in (None, {})}


PLAIN: Final = Common()


def _present(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


def _schema(document: Json) -> Json:
    return None if document is None else {"document": document}


def duration(value: Duration) -> Json:
    """A duration as documents have it; a number counts seconds."""
    if isinstance(value, float) and not isfinite(value):
        raise WorkflowError(f"{value} is no duration; write so many seconds, or PT10S")
    if isinstance(value, int | float):
        whole = round(value * 1_000)
        return {"seconds": whole // 1_000} if whole % 1_000 == 0 else {"milliseconds": whole}
    return dict(value) if isinstance(value, Mapping) else value


def listed(tasks: Iterable[Named]) -> list[Json]:
    """Tasks as a list of the document."""
    return [{task.name: task.body} for task in tasks]


def task(name: str, body: Mapping[str, Json], common: Common = PLAIN) -> Named:
    """A task of any kind from its own fields."""
    return Named(name, {**body, **common.fields()})


def call(name: str, function: str, with_: Mapping[str, Json] | None = None, common: Common = PLAIN) -> Named:
    """Call a function: one of `use.functions`, a cataloged one, or one of the platform."""
    return task(name, _present({"call": function, "with": with_}), common)


def http(
    name: str,
    method: str,
    endpoint: Json,
    *,
    headers: Mapping[str, str] | str | None = None,
    query: Mapping[str, str] | str | None = None,
    body: Json = None,
    output: str | None = None,
    redirect: bool | None = None,
    common: Common = PLAIN,
) -> Named:
    """Send an HTTP request."""
    wanted = {"method": method, "endpoint": endpoint, "headers": headers, "query": query}
    return call(name, "http", _present({**wanted, "body": body, "output": output, "redirect": redirect}), common)


def openapi(
    name: str,
    document: Json,
    operation: str,
    parameters: Mapping[str, Json] | None = None,
    *,
    authentication: Mapping[str, Json] | None = None,
    output: str | None = None,
    common: Common = PLAIN,
) -> Named:
    """Call an operation of an OpenAPI document."""
    wanted = {"document": {"endpoint": document}, "operationId": operation, "parameters": parameters}
    return call(name, "openapi", _present({**wanted, "authentication": authentication, "output": output}), common)


def do(name: str, tasks: Iterable[Named], common: Common = PLAIN) -> Named:
    """Tasks one after the other."""
    return task(name, {"do": listed(tasks)}, common)


def emit(name: str, type: str, data: Json = None, *, common: Common = PLAIN, **attributes: Json) -> Named:
    """Emit a CloudEvent."""
    return task(name, {"emit": {"event": {"with": _present({"type": type, "data": data, **attributes})}}}, common)


def for_(
    name: str,
    items: str | Sequence[Mapping[str, Json]],
    tasks: Iterable[Named],
    *,
    each: str | None = None,
    at: str | None = None,
    while_: str | None = None,
    common: Common = PLAIN,
) -> Named:
    """Tasks for each item."""
    wanted = items if isinstance(items, str) else [dict(item) for item in items]
    loop = _present({"each": each, "in": wanted, "at": at})
    return task(name, _present({"for": loop, "while": while_, "do": listed(tasks)}), common)


def fork(name: str, branches: Iterable[Named], *, compete: bool | None = None, common: Common = PLAIN) -> Named:
    """Tasks side by side; with `compete` the first to end wins."""
    return task(name, {"fork": _present({"branches": listed(branches), "compete": compete})}, common)


def event(type: str | None = None, *, correlate: Mapping[str, Body] | None = None, **attributes: Json) -> Body:
    """A filter of events; attributes are texts, regular expressions or expressions."""
    return _present({"with": _present({"type": type, **attributes}), "correlate": correlate})


def correlation(from_: str, expect: str | None = None) -> Body:
    """A link between events, or between an event and data."""
    return _present({"from": from_, "expect": expect})


def one(wanted: Body) -> Body:
    """Listen to one event."""
    return {"one": wanted}


def any_(*wanted: Body, until: str | Body | None = None) -> Body:
    """Listen to any of some events, or go on until a condition holds or an event ends it."""
    return _present({"any": list(wanted), "until": until})


def all_(*wanted: Body) -> Body:
    """Listen to all of some events."""
    return {"all": list(wanted)}


def iterator(
    tasks: Iterable[Named] | None = None,
    *,
    item: str | None = None,
    at: str | None = None,
    output_as: Json = None,
    export_as: Json = None,
) -> Body:
    """What is done with each event as it comes."""
    shaped = {"output": None if output_as is None else {"as": output_as}}
    shaped["export"] = None if export_as is None else {"as": export_as}
    return _present({"item": item, "at": at, "do": None if tasks is None else listed(tasks), **shaped})


def listen(
    name: str, to: Body, *, read: str | None = None, foreach: Body | None = None, common: Common = PLAIN
) -> Named:
    """Wait for events."""
    return task(name, _present({"listen": _present({"to": to, "read": read}), "foreach": foreach}), common)


def error(type: str, status: int, title: str | None = None, detail: str | None = None) -> Body:
    """An error, for `raise_` or `use.errors`."""
    return _present({"type": type, "status": status, "title": title, "detail": detail})


def raise_(name: str, error: Body | str, common: Common = PLAIN) -> Named:
    """Raise an error, or the one of that name in `use.errors`."""
    return task(name, {"raise": {"error": error}}, common)


def run_workflow(
    name: str,
    namespace: str,
    workflow: str,
    version: str,
    input: Mapping[str, Json] | None = None,
    *,
    await_: bool | None = None,
    common: Common = PLAIN,
) -> Named:
    """Run another workflow."""
    wanted = _present({"namespace": namespace, "name": workflow, "version": version, "input": input})
    return task(name, {"run": _present({"workflow": wanted, "await": await_})}, common)


def run_process(name: str, kind: str, process: Mapping[str, Json], common: Common = PLAIN, **how: Json) -> Named:
    """Run a container, a script or a shell command; `how` holds `await` and `return`."""
    return task(name, {"run": {kind: process, **how}}, common)


def set_(name: str, data: Mapping[str, Json] | str, common: Common = PLAIN) -> Named:
    """Set data: a mapping with expressions in it, or one expression."""
    return task(name, {"set": data}, common)


class Case(NamedTuple):
    """A case of a switch; without `when` it is the default."""

    name: str
    then: str
    when: str | None = None


def switch(name: str, *cases: Case, common: Common = PLAIN) -> Named:
    """Go on where the first case that holds says."""
    return task(name, {"switch": [{one.name: _present({"when": one.when, "then": one.then})} for one in cases]}, common)


def retry(
    *,
    delay: Duration | None = None,
    backoff: str | None = None,
    count: int | None = None,
    attempt: Duration | None = None,
    within: Duration | None = None,
    jitter: tuple[Duration, Duration] | None = None,
    when: str | None = None,
    except_when: str | None = None,
) -> Body:
    """A retry policy; `backoff` is constant, linear or exponential, `count` how often after the first attempt."""
    tries = _present({"count": count, "duration": None if attempt is None else duration(attempt)})
    limit = _present({"attempt": tries or None, "duration": None if within is None else duration(within)})
    return _present(
        {
            "when": when,
            "exceptWhen": except_when,
            "delay": None if delay is None else duration(delay),
            "backoff": None if backoff is None else {backoff: {}},
            "limit": limit or None,
            "jitter": None if jitter is None else {"from": duration(jitter[0]), "to": duration(jitter[1])},
        }
    )


def catch(
    tasks: Iterable[Named] | None = None,
    *,
    errors: Mapping[str, Json] | None = None,
    as_: str | None = None,
    when: str | None = None,
    except_when: str | None = None,
    retry: Body | str | None = None,
    then: str | None = None,
) -> Body:
    """What a `try_` catches and what it does then."""
    handled = {"do": None if tasks is None else listed(tasks), "then": then}
    caught = {"errors": None if errors is None else {"with": errors}, "as": as_}
    return _present({**caught, "when": when, "exceptWhen": except_when, "retry": retry, **handled})


def try_(name: str, tasks: Iterable[Named], catch: Body, common: Common = PLAIN) -> Named:
    """Tasks whose errors are caught."""
    return task(name, {"try": listed(tasks), "catch": catch}, common)


def wait(name: str, length: Duration, common: Common = PLAIN) -> Named:
    """Wait so long."""
    return task(name, {"wait": duration(length)}, common)


def workflow(
    namespace: str,
    name: str,
    version: str,
    tasks: Iterable[Named],
    *,
    title: str | None = None,
    summary: str | None = None,
    use: Mapping[str, Json] | None = None,
    input_from: Json = None,
    input_schema: Json = None,
    output_as: Json = None,
    output_schema: Json = None,
    timeout: Duration | None = None,
    schedule: Mapping[str, Json] | None = None,
    jq: Jq | None = None,
) -> Document:
    """The document, checked; WorkflowError naming everything that is wrong, each by its JSON pointer."""
    about = {"dsl": DSL, "namespace": namespace, "name": name, "version": version, "title": title, "summary": summary}
    body = {
        "document": _present(about),
        "input": _present({"schema": _schema(input_schema), "from": input_from}) or None,
        "use": use,
        "do": listed(tasks),
        "timeout": None if timeout is None else {"after": duration(timeout)},
        "output": _present({"schema": _schema(output_schema), "as": output_as}) or None,
        "schedule": schedule,
    }
    document = of_body(_present(body), name)
    found = errors(validate(document, jq=jq))
    if found:
        raise WorkflowError(
            "\n".join(f"{name}{problem.pointer or '/'}: {problem.message}" for problem in found[:NAMED_MAX])
        )
    return document
