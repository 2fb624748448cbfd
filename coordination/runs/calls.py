"""Calls: the one registry behind every `call` and every process that a workflow runs: what a name means, and how its answer comes.

Invariants: a call that has effects outside begins only in the commit that has its strand wait for it, as a proposal; a quick call
has no effects, so doing it again after a crash changes nothing. What is not served says so as the specification's error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from coordination.acting import Within
from coordination.runs.runs import Run
from coordination.workflow.faults import Fault, fault
from coordination.workflow.plan import Plan
from kg.model import StateWrite, Write
from kg.payloads import text_of
from kg.values import Json

#: What the machine takes as an answer: {"output": value} or {"problem": problem details}.
Answer = Mapping[str, Any]
#: Protocols of the specification that this installation may not serve.
PROTOCOLS: Final = frozenset({"http", "openapi", "grpc", "asyncapi", "a2a", "mcp"})

#: Processes that it runs where the settings switch them on.
PROCESSES: Final = frozenset({"run.shell", "run.script"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call: by which run, from which step, of what, with which arguments."""

    run: Run
    strand: str
    number: int
    step: str
    reference: str
    name: str
    arguments: Mapping[str, Json]
    plan: Plan
    now: int

    @property
    def key(self) -> str:
        """What names the call: doing it again gives the same."""
        return f"run:{self.run.id}/{self.strand}/{self.number}"

    @property
    def within(self) -> Within:
        """The run and its workflow, for budgets over what an agent uses in them."""
        document = self.plan.document
        return Within(self.run.id, f"{document.namespace}.{document.name}")

    def text(self, name: str, default: str | None = None) -> str:
        """An argument that must be a text; the specification's configuration error where it is none."""
        value = self.arguments.get(name, default)
        if not isinstance(value, str) or not value:
            raise fault("configuration", f"`call: {self.name}` needs `{name}` in `with`; give a text")
        return value


@dataclass(frozen=True, slots=True)
class Begun:
    """What beginning a call commits, the work that follows, how to look for its answer, and when to look at the latest."""

    handle: Mapping[str, Json]
    writes: Sequence[Write] = ()
    rows: Sequence[StateWrite] = ()
    follow: Sequence[str] = ()
    until: int | None = None


class Kind(Protocol):
    """What one name of a call means."""

    @property
    def quick(self) -> bool:
        """Whether `begin` answers at once (it may take its time, but leaves nothing behind)."""

    def begin(self, call: Call) -> Begun | Answer:
        """Begin the call, or answer it; raises Fault."""

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """The answer, None while there is none; asked whenever something about the call may have changed."""

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Rows that tidy up a call whose strand does not wait any more."""


Function = Callable[..., Json]


@dataclass(frozen=True, slots=True)
class Functions:
    """Registered Python functions: deterministic, without effects, called with the arguments by name."""

    functions: Mapping[str, Function]
    quick: bool = field(default=True, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Call the function; what it raises is the specification's runtime error."""
        name, arguments = call.name.split("@")[0].split(":")[0], call.arguments
        if name == "function":
            name, arguments = call.text("name"), call.arguments.get("arguments", {})
        function = self.functions.get(name)
        if function is None:
            raise fault("configuration", f"no function is called {name!r}; register it, or correct the name")
        try:
            output = function(**arguments)
            text_of(output).encode()
        except Fault:
            raise
        except Exception as error:
            raise fault("runtime", f"{name} raised {type(error).__name__}: {error}") from error
        return {"output": output}

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """Nothing to look for: it was answered at once."""
        del call, handle
        return None

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nothing to tidy up."""
        del call, handle
        return ()


@dataclass(frozen=True, slots=True)
class Calls:
    """The registry. `kinds` by name of the call; every other name is a registered function."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    functions: Functions = field(default_factory=lambda: Functions({}))

    def kind(self, name: str) -> Kind:
        """What a name means; the specification's error where it means nothing here."""
        found = self.kinds.get(name)
        if found is not None:
            return found
        if name in PROTOCOLS or name.startswith("run."):
            what = f"`call: {name}`" if name in PROTOCOLS else f"`run: {name.removeprefix('run.')}`"
            remedy = "add the table [effectors.process]" if name in PROCESSES else "configure it, or use another call"
            raise fault(
                "runtime",
                f"{what} is not served here; {remedy}",
                status=501,
                title="Not Served",
            )
        if "://" in name or ("@" in name and not name.endswith("@default")):
            raise fault(
                "configuration", f"{name[:200]!r} is of a catalog, and catalogs are not fetched; register the function"
            )
        return self.functions
