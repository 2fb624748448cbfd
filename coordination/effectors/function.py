"""Python function: an effect as one call of a registered function, which says of itself whether it may be repeated.

Invariant: only what was registered is called, by name; whatever it raises that is neither RetryLater nor GiveUp leaves open whether
it happened. It runs in this process, with all its rights: register only what you would run yourself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.errors import EffectorError, GiveUp
from kg.values import Json


@dataclass(frozen=True, slots=True)
class Function:
    """A function that acts: it gets the arguments and the key, and answers with JSON.

    `idempotent`: calling it again with the same key does nothing twice. `undo` names the function that undoes it, called with
    ``{"arguments", "reference"}`` of what it undoes. `reference` picks the target's own name out of the answer.
    """

    call: Callable[[Mapping[str, Json], str], Json]
    idempotent: bool = False
    undo: str = ""
    reference: str = "id"


@dataclass(frozen=True, slots=True)
class Functions:
    """Effector of kind ``python``."""

    registered: Mapping[str, Function]
    kind: str = field(default="python", init=False)
    idempotent: bool = field(default=False, init=False)
    can_look_up: bool = field(default=False, init=False)

    def repeatable(self, effect: Effect) -> bool:
        """As the function says of itself."""
        return self._function(effect).idempotent

    def act(self, effect: Effect) -> Receipt:
        """Call the function."""
        function = self._function(effect)
        answer = function.call(self._arguments(effect), effect.key)
        named = answer.get(function.reference, "") if isinstance(answer, Mapping) else ""
        return Receipt(str(named), {"answer": answer})

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: a function cannot be asked."""
        raise EffectorError(f"a function cannot be asked whether effect {effect.id} happened; ask its owner")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """The function's own undo, or what the payload declares."""
        function = self._function(effect)
        if effect.payload.get("undo") is not None or not function.undo:
            return undo_of(self.kind, effect, receipt)
        given = {"arguments": dict(self._arguments(effect)), "reference": receipt.reference}
        return Undo(f"{effect.operation}.undo", self.kind, {"function": function.undo, "arguments": given})

    def simulate(self, effect: Effect) -> Receipt:
        """What would be called."""
        self._function(effect)
        would = {"function": effect.payload.get("function"), "arguments": sorted(self._arguments(effect))}
        return Receipt("", {"would": would})

    def _function(self, effect: Effect) -> Function:
        name = str(effect.payload.get("function", ""))
        found = self.registered.get(name)
        if found is None:
            known = ", ".join(sorted(self.registered)) or "none"
            raise GiveUp(f"no function is registered as {name[:80]!r}; known are {known}")
        return found

    def _arguments(self, effect: Effect) -> Mapping[str, Json]:
        given = effect.payload.get("arguments", {})
        if not isinstance(given, Mapping):
            raise GiveUp("the arguments of a function are an object; correct the payload")
        return given
