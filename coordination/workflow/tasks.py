"""The table of the twelve tasks of the Open Workflow Specification 1.0.3, of its calls and of the workflow around them.

Invariant: as in `definitions`: it agrees with the specification's schema. `SHAPES` is every named shape, `WORKFLOW` the whole.
"""

from collections.abc import Mapping
from typing import Final

from coordination.workflow.definitions import (
    DEFINITIONS,
    DURATION,
    HOST,
    LABEL,
    LITERAL,
    MAP,
    PROGRAM,
    TASKS,
    TEXT,
    TEXTS,
    VERSION,
    WRAPPED,
)
from coordination.workflow.shapes import (
    Anything,
    ByKey,
    ByValue,
    Either,
    Flag,
    Listed,
    Mapped,
    Record,
    Shape,
    Text,
    Use,
    Whole,
)

#: What a runtime must offer by name; everything else that is called is a function.
PROTOCOLS: Final = ("asyncapi", "grpc", "http", "openapi", "a2a", "mcp")
#: The keys that say what a task does, in the order in which they are told apart (a loop has `do` too).
KINDS: Final = ("for", "call", "fork", "do", "emit", "listen", "raise", "run", "set", "switch", "try", "wait")

_VARIABLE = Text("a name", reading="literal", kind="variable")
_THEN = Text("continue, exit, end or the name of a task", reading="literal", kind="then")
_AUTH = Use("authentication")
_RESOURCE = Use("external resource")
_STRING_MAP = Mapped(TEXT)
_HTTP_MAP = Either((_STRING_MAP, WRAPPED), "a mapping of texts or an expression ${ … }")
_OUTPUT = Text(choices=("raw", "content", "response"), reading="literal")
_NOTES = Mapped(Anything(reading="literal"))

_COMMON: Mapping[str, Shape] = {
    "if": PROGRAM,
    "input": Use("input"),
    "output": Use("output"),
    "export": Use("export"),
    "timeout": Use("timeout or name"),
    "then": _THEN,
    "metadata": _NOTES,
}


def _task(name: str, fields: Mapping[str, Shape], required: tuple[str, ...]) -> Record:
    return Record(name, {**fields, **_COMMON}, required)


_ASYNCAPI = Record(
    "asyncapi call",
    {
        "document": _RESOURCE,
        "channel": TEXT,
        "operation": TEXT,
        "server": Record("server", {"name": TEXT, "variables": MAP}, ("name",)),
        "protocol": Text(
            choices=(
                *("amqp", "amqp1", "anypointmq", "googlepubsub", "http", "ibmmq", "jms", "kafka", "mercure", "mqtt"),
                *("mqtt5", "nats", "pulsar", "redis", "sns", "solace", "sqs", "stomp", "ws"),
            ),
        ),
        "message": Record("message", {"payload": MAP, "headers": MAP}),
        "subscription": Record(
            "subscription",
            {
                "filter": WRAPPED,
                "consume": Record(
                    "consumption",
                    {"for": DURATION, "amount": Whole(), "while": WRAPPED, "until": WRAPPED},
                    exactly_one=(("amount", "while", "until"),),
                ),
                "foreach": Use("iterator"),
            },
            ("consume",),
        ),
        "authentication": _AUTH,
    },
    ("document",),
    exactly_one=(("operation", "channel"), ("message", "subscription")),
)
_GRPC = Record(
    "grpc call",
    {
        "proto": _RESOURCE,
        "service": Record(
            "service",
            {"name": TEXT, "host": Text("a host name", HOST), "port": Whole(0, 65535), "authentication": _AUTH},
            ("name", "host"),
        ),
        "method": TEXT,
        "arguments": MAP,
    },
    ("proto", "service", "method"),
)
_HTTP = Record(
    "http call",
    {
        "method": TEXT,
        "endpoint": Use("endpoint"),
        "headers": _HTTP_MAP,
        "body": Anything(),
        "query": _HTTP_MAP,
        "output": _OUTPUT,
        "redirect": Flag(),
    },
    ("method", "endpoint"),
)
_OPENAPI = Record(
    "openapi call",
    {
        "document": _RESOURCE,
        "operationId": TEXT,
        "parameters": MAP,
        "authentication": _AUTH,
        "output": _OUTPUT,
        "redirect": Flag(),
    },
    ("document", "operationId"),
)
_A2A = Record(
    "a2a call",
    {
        "agentCard": _RESOURCE,
        "server": Use("endpoint"),
        "method": Text(
            choices=(
                *("message/send", "message/stream", "tasks/get", "tasks/list", "tasks/cancel", "tasks/resubscribe"),
                *("tasks/pushNotificationConfig/set", "tasks/pushNotificationConfig/get"),
                *("tasks/pushNotificationConfig/list", "tasks/pushNotificationConfig/delete"),
                "agent/getAuthenticatedExtendedCard",
            )
        ),
        "parameters": Either((Mapped(Anything(), least=1), TEXT), "a mapping or an expression ${ … }"),
    },
    ("method",),
)
_MCP = Record(
    "mcp call",
    {
        "protocolVersion": TEXT,
        "method": Text(
            choices=(
                *("tools/list", "tools/call", "prompts/list", "prompts/get"),
                *("resources/list", "resources/read", "resources/templates/list"),
            )
        ),
        "parameters": Either((MAP, TEXT), "a mapping or an expression ${ … }"),
        "timeout": DURATION,
        "transport": Record(
            "transport",
            {
                "http": Record(
                    "http transport",
                    {"endpoint": Use("endpoint"), "headers": _STRING_MAP},
                    ("endpoint",),
                    rest=Anything(),
                ),
                "stdio": Record(
                    "stdio transport",
                    {"command": TEXT, "arguments": TEXTS, "environment": _STRING_MAP},
                    ("command",),
                    rest=Anything(),
                ),
                "options": _STRING_MAP,
            },
            rest=Anything(),
            exactly_one=(("http", "stdio"),),
        ),
        "client": Record("client", {"name": TEXT, "version": TEXT}, ("name", "version"), rest=Anything()),
    },
    ("method", "transport"),
    rest=Anything(),
)

_CALLS: Mapping[str, Shape] = {
    name: _task(f"{name} call task", {"call": LITERAL, "with": arguments}, ("call", "with"))
    for name, arguments in zip(PROTOCOLS, (_ASYNCAPI, _GRPC, _HTTP, _OPENAPI, _A2A, _MCP), strict=True)
}
_CALL = ByValue(
    "call",
    _CALLS,
    _task(
        "call task",
        {"call": Text("the name of a function", reading="literal", kind="function"), "with": MAP},
        ("call",),
    ),
)

_PROCESS: Mapping[str, Shape] = {"stdin": TEXT, "arguments": TEXTS, "environment": MAP}
_RUN = Record(
    "run",
    {
        "await": Flag(),
        "return": Text(choices=("stdout", "stderr", "code", "all", "none"), reading="literal"),
        "container": Record(
            "container",
            {
                "image": TEXT,
                "name": TEXT,
                "command": TEXT,
                "ports": MAP,
                "volumes": MAP,
                **_PROCESS,
                "lifetime": Use("container lifetime"),
                "pullPolicy": Text(choices=("ifNotPresent", "always", "never")),
            },
            ("image",),
        ),
        "script": Record(
            "script",
            {"language": TEXT, "code": LITERAL, "source": _RESOURCE, **_PROCESS},
            ("language",),
            exactly_one=(("code", "source"),),
        ),
        "shell": Record("shell", {"command": TEXT, **_PROCESS}, ("command",)),
        "workflow": Record(
            "workflow",
            {"namespace": TEXT, "name": TEXT, "version": TEXT, "input": MAP},
            ("namespace", "name", "version"),
        ),
    },
    exactly_one=(("container", "script", "shell", "workflow"),),
)
_CATCH = Record(
    "catch",
    {
        "errors": Record("errors", {"with": Use("error filter")}, rest=Anything()),
        "as": _VARIABLE,
        "when": PROGRAM,
        "exceptWhen": PROGRAM,
        "retry": Either(
            (Use("retry"), Text(reading="literal", kind="retry")), "a retry policy or the name of one in `use.retries`"
        ),
        "do": TASKS,
        "then": _THEN,
    },
)
_RAISED = Either((Use("error"), Text(reading="literal", kind="error")), "an error or the name of one in `use.errors`")
_SOURCE = Either(
    (PROGRAM, Listed(Mapped(Anything()))),
    "a jq expression or a list of mappings",
)
_CASE = Record("case", {"when": PROGRAM, "then": _THEN}, ("then",))

_TASKS_BY_KIND: Mapping[str, Shape] = {
    "for": _task(
        "for task",
        {
            "for": Record("for", {"each": _VARIABLE, "in": _SOURCE, "at": _VARIABLE}, ("in",)),
            "while": PROGRAM,
            "do": TASKS,
        },
        ("for", "do"),
    ),
    "call": _CALL,
    "fork": _task(
        "fork task", {"fork": Record("fork", {"branches": TASKS, "compete": Flag()}, ("branches",))}, ("fork",)
    ),
    "do": _task("do task", {"do": TASKS}, ("do",)),
    "emit": _task(
        "emit task",
        {
            "emit": Record(
                "emit",
                {"event": Record("emitted event", {"with": Use("emitted event")}, rest=Anything())},
                ("event",),
            )
        },
        ("emit",),
    ),
    "listen": _task(
        "listen task",
        {
            "listen": Record(
                "listen",
                {"to": Use("events"), "read": Text(choices=("data", "envelope", "raw"), reading="literal")},
                ("to",),
            ),
            "foreach": Use("iterator"),
        },
        ("listen",),
    ),
    "raise": _task("raise task", {"raise": Record("raise", {"error": _RAISED}, ("error",))}, ("raise",)),
    "run": _task("run task", {"run": _RUN}, ("run",)),
    "set": _task(
        "set task", {"set": Either((Mapped(Anything(), least=1), TEXT), "a mapping or an expression ${ … }")}, ("set",)
    ),
    "switch": _task("switch task", {"switch": Listed(Mapped(_CASE, single=True), least=1)}, ("switch",)),
    "try": _task("try task", {"try": TASKS, "catch": _CATCH}, ("try", "catch")),
    "wait": _task("wait task", {"wait": DURATION}, ("wait",)),
}

_USE = Record(
    "use",
    {
        "authentications": Mapped(Use("authentication policy")),
        "errors": Mapped(Use("error")),
        "extensions": Listed(Mapped(Use("extension"), single=True)),
        "functions": Mapped(Use("task")),
        "retries": Mapped(Use("retry")),
        "secrets": Listed(LITERAL),
        "timeouts": Mapped(Use("timeout")),
        "catalogs": Mapped(Use("catalog")),
    },
)
_SCHEDULE = Record(
    "schedule",
    {
        "every": DURATION,
        "cron": Text(reading="literal", kind="cron"),
        "after": DURATION,
        "on": Use("events"),
        "read": Text(choices=("data", "envelope", "raw"), reading="literal"),
    },
    together=(("read", "on"),),
)
_ABOUT = Record(
    "document",
    {
        "dsl": Text("a version such as 1.0.3", VERSION, reading="literal"),
        "namespace": Text("a DNS label (letters, digits, hyphens, at most 63)", LABEL, reading="literal"),
        "name": Text("a DNS label (letters, digits, hyphens, at most 63)", LABEL, reading="literal"),
        "version": Text("a semantic version such as 1.0.0", VERSION, reading="literal"),
        "title": LITERAL,
        "summary": LITERAL,
        "tags": _NOTES,
        "metadata": _NOTES,
    },
    ("dsl", "namespace", "name", "version"),
)

WORKFLOW: Final = Record(
    "workflow",
    {
        "document": _ABOUT,
        "input": Use("input"),
        "use": _USE,
        "do": TASKS,
        "timeout": Use("timeout or name"),
        "output": Use("output"),
        "schedule": _SCHEDULE,
        "evaluate": Record(
            "evaluate", {"language": LITERAL, "mode": Text(choices=("strict", "loose"), reading="literal")}
        ),
    },
    ("document", "do"),
    rest=Anything(reading="literal"),
)
SHAPES: Final[Mapping[str, Shape]] = {
    **DEFINITIONS,
    "task": ByKey(_TASKS_BY_KIND, is_="a task: a mapping with one of " + ", ".join(KINDS)),
    "tasks": Listed(Mapped(Use("task"), single=True, is_="one named task"), is_="a list of named tasks"),
}
