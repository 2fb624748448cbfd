"""The table of the shared definitions of the Open Workflow Specification 1.0.3: endpoints, durations, errors, events, policies.

Invariant: what the specification's schema accepts fits, what it refuses does not; a test compares the two on every published
example and on thousands of changed ones. What the schema cannot say (names, programs, times) is checked in `validation`.
"""

import re
from collections.abc import Mapping
from typing import Final

from coordination.workflow.shapes import (
    Anything,
    ByKey,
    Either,
    Lifetime,
    Listed,
    Mapped,
    Matching,
    Record,
    Shape,
    Text,
    Use,
    Whole,
)

#: Semantic Versioning 2.0.0.
VERSION = re.compile(
    r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?\Z"
)
#: A DNS label, RFC 1123.
LABEL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\Z")
HOST = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?\Z")
EXPRESSION = re.compile(r"\s*\$\{.+\}\s*\Z")
#: A URI reference by RFC 3986 without spaces, and no expression.
URI = re.compile(r"(?!\s*\$\{)(?=\S)(?:[^:/?#]+:)?(?://[^/?#\s]*)?[^?#\s]*(?:\?[^#\s]*)?(?:#\S*)?\Z")
URI_OR_EXPRESSION = re.compile(f"{EXPRESSION.pattern}|{URI.pattern}")
#: ISO 8601 durations, as the specification writes them.
ISO_DURATION = re.compile(
    r"P(?!\Z)(?:\d+(?:\.\d+)?Y)?(?:\d+(?:\.\d+)?M)?(?:\d+(?:\.\d+)?W)?(?:\d+(?:\.\d+)?D)?"
    r"(?:T(?=\d)(?:\d+(?:\.\d+)?H)?(?:\d+(?:\.\d+)?M)?(?:\d+(?:\.\d+)?S)?)?\Z"
)
DURATION_TEXT = re.compile(f"{EXPRESSION.pattern}|{ISO_DURATION.pattern}")
#: RFC 6901.
POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*\Z")
POINTER_OR_EXPRESSION = re.compile(rf"{EXPRESSION.pattern}|{POINTER.pattern}")
#: RFC 3339.
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\Z")
MOMENT_OR_EXPRESSION = re.compile(f"{EXPRESSION.pattern}|{MOMENT.pattern}")

TEXT: Final = Text()
LITERAL: Final = Text(reading="literal")
PROGRAM: Final = Text("a jq expression", reading="program")
WRAPPED: Final = Text("an expression ${ … }", EXPRESSION, reading="program")
MAP: Final = Mapped(Anything())
TEXTS: Final = Listed(TEXT)
URI_TEXT: Final = Text("a URI without spaces", URI, kind="uri")
ENDPOINT_TEXT: Final = Text("a URI or an expression ${ … }", URI_OR_EXPRESSION, kind="uri")
TRANSFORM: Final = Either((PROGRAM, MAP), "a jq expression or a mapping")
SECRET: Final = Record("secret", {"use": Text(filled=True, reading="literal", kind="secret")}, ("use",))
TOKEN: Final = Record("token", {"token": TEXT, "type": TEXT}, ("token", "type"))
TASKS: Final = Use("tasks")
DURATION: Final = Use("duration")

_PASSWORD: Final = Record("login", {"username": TEXT, "password": TEXT}, ("username", "password"))
_OAUTH: dict[str, Shape] = {
    "authority": URI_TEXT,
    "grant": Text(
        choices=(
            "authorization_code",
            "client_credentials",
            "password",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        )
    ),
    "client": Record(
        "client",
        {
            "id": TEXT,
            "secret": TEXT,
            "assertion": TEXT,
            "authentication": Text(
                choices=("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none")
            ),
        },
    ),
    "request": Record(
        "token request",
        {"encoding": Text(choices=("application/x-www-form-urlencoded", "application/json"))},
        rest=Anything(),
    ),
    "issuers": TEXTS,
    "scopes": TEXTS,
    "audiences": TEXTS,
    "username": TEXT,
    "password": TEXT,
    "subject": TOKEN,
    "actor": TOKEN,
}
_ENDPOINTS = Record("OAuth2 endpoints", {"token": TEXT, "revocation": TEXT, "introspection": TEXT}, rest=Anything())


def _or_secret(inline: Shape) -> Shape:
    """What is written out, or the name of the secret that holds it."""
    return ByKey({"use": SECRET}, inline)


_SCHEMES: dict[str, Shape] = {
    "basic": _or_secret(_PASSWORD),
    "bearer": _or_secret(Record("bearer token", {"token": TEXT}, ("token",))),
    "digest": _or_secret(_PASSWORD),
    "oauth2": _or_secret(Record("OAuth2 policy", {**_OAUTH, "endpoints": _ENDPOINTS}, ("authority", "grant"))),
    "oidc": _or_secret(Record("OpenID Connect policy", _OAUTH, ("authority", "grant"))),
}

_EVENT: dict[str, Shape] = {
    "id": TEXT,
    "source": ENDPOINT_TEXT,
    "type": TEXT,
    "time": Text("a moment such as 2026-01-31T12:00:00Z or an expression ${ … }", MOMENT_OR_EXPRESSION),
    "subject": TEXT,
    "datacontenttype": TEXT,
    "dataschema": ENDPOINT_TEXT,
    "data": Anything(),
}
#: In a filter these are regular expressions.
_PATTERNS: dict[str, Shape] = {name: Text(kind="pattern") for name in ("id", "type", "subject", "datacontenttype")}
_FILTERS = Listed(Use("event filter"))
_OBJECT = Mapped(Anything(reading="literal"))
_SCHEMA = Record(
    "schema",
    {"format": LITERAL, "document": Anything(reading="literal"), "resource": Use("external resource")},
    exactly_one=(("document", "resource"),),
)

DEFINITIONS: Final[Mapping[str, Shape]] = {
    "duration": Either(
        (
            Record(
                "duration",
                {unit: Whole() for unit in ("days", "hours", "minutes", "seconds", "milliseconds")},
                least=1,
                marked=True,
            ),
            Text("an ISO 8601 duration such as PT10S or an expression ${ … }", DURATION_TEXT, kind="duration"),
        ),
        "a duration: `seconds: 10`, `PT10S` or an expression ${ … }",
    ),
    "endpoint": Either(
        (
            ENDPOINT_TEXT,
            Record("endpoint", {"uri": ENDPOINT_TEXT, "authentication": Use("authentication")}, ("uri",)),
        ),
        "a URI, an expression ${ … } or a mapping with `uri`",
    ),
    "external resource": Record("external resource", {"name": LITERAL, "endpoint": Use("endpoint")}, ("endpoint",)),
    "authentication": Record(
        "authentication",
        {"use": Text(filled=True, reading="literal", kind="authentication"), **_SCHEMES},
        exactly_one=(("use", *_SCHEMES),),
    ),
    "authentication policy": Matching("authentication policy", _SCHEMES),
    "error": Record(
        "error",
        {
            "type": ENDPOINT_TEXT,
            "status": Whole(),
            "instance": Text("a JSON pointer such as /do/0/step or an expression ${ … }", POINTER_OR_EXPRESSION),
            "title": TEXT,
            "detail": TEXT,
        },
        ("type", "status"),
    ),
    "error filter": Record(
        "error filter",
        {"type": TEXT, "status": Whole(), "instance": TEXT, "title": TEXT, "detail": TEXT},
        rest=Anything(),
        least=1,
    ),
    "event": Record("event", _EVENT, rest=Anything()),
    "emitted event": Record("event", _EVENT, ("type",), rest=Anything()),
    "event filter": Record(
        "event filter",
        {
            "with": Record("event filter", {**_EVENT, **_PATTERNS}, rest=Anything(kind="pattern"), least=1),
            "correlate": Mapped(Record("correlation", {"from": PROGRAM, "expect": TEXT}, ("from",), rest=Anything())),
        },
        ("with",),
    ),
    "events": Record(
        "event strategy",
        {
            "all": _FILTERS,
            "any": _FILTERS,
            "one": Use("event filter"),
            "until": Either((PROGRAM, Use("ending events")), "a jq expression or the events that end it"),
        },
        exactly_one=(("all", "any", "one"),),
        together=(("until", "any"),),
    ),
    "ending events": Record(
        "event strategy",
        {"all": _FILTERS, "any": _FILTERS, "one": Use("event filter")},
        exactly_one=(("all", "any", "one"),),
    ),
    "input": Record("input", {"schema": _SCHEMA, "from": TRANSFORM}),
    "output": Record("output", {"schema": _SCHEMA, "as": TRANSFORM}),
    "export": Record("export", {"schema": _SCHEMA, "as": TRANSFORM}),
    "timeout": Record("timeout", {"after": DURATION}, ("after",)),
    "timeout or name": Either(
        (Use("timeout"), Text(reading="literal", kind="timeout")), "a timeout or the name of one in `use.timeouts`"
    ),
    "retry": Record(
        "retry policy",
        {
            "when": PROGRAM,
            "exceptWhen": PROGRAM,
            "delay": DURATION,
            "backoff": Record(
                "back-off",
                {"constant": _OBJECT, "exponential": _OBJECT, "linear": _OBJECT},
                exactly_one=(("constant", "exponential", "linear"),),
            ),
            "limit": Record(
                "retry limit",
                {
                    "attempt": Record("attempt limit", {"count": Whole(), "duration": DURATION}),
                    "duration": DURATION,
                },
            ),
            "jitter": Record("jitter", {"from": DURATION, "to": DURATION}, ("from", "to")),
        },
    ),
    "catalog": Record("catalog", {"endpoint": Use("endpoint")}, ("endpoint",)),
    "extension": Record(
        "extension",
        {
            "extend": Text(
                choices=(
                    "call",
                    "composite",
                    "emit",
                    "for",
                    "listen",
                    "raise",
                    "run",
                    "set",
                    "switch",
                    "try",
                    "wait",
                    "all",
                )
            ),
            "when": PROGRAM,
            "before": TASKS,
            "after": TASKS,
        },
        ("extend",),
    ),
    "iterator": Record(
        "iterator",
        {
            "item": Text(reading="literal", kind="variable"),
            "at": Text(reading="literal", kind="variable"),
            "do": TASKS,
            "output": Use("output"),
            "export": Use("export"),
        },
    ),
    "container lifetime": Lifetime(
        Record(
            "container lifetime",
            {"cleanup": Text(choices=("always", "never", "eventually")), "after": DURATION},
            ("cleanup",),
        )
    ),
}
