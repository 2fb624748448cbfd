"""Declared undo: an outside effect says in its own payload, under `undo`, what undoes it.

Invariant: the undo is fixed with the proposal that it belongs to, so it was there to be judged; only the target's reference and the
key are filled in afterwards. Performs nothing: what it gives is proposed and passes the gate.
"""

from collections.abc import Mapping

from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.errors import GiveUp
from kg.values import Json

#: How deep an undo's payload may be nested.
DEPTH_MAX = 32


def undo_of(kind: str, effect: Effect, receipt: Receipt) -> Undo | None:
    """The undo that the payload declares, with ``{reference}`` and ``{key}`` filled in; None where it declares none."""
    said = effect.payload.get("undo")
    if said is None:
        return None
    if not isinstance(said, Mapping) or not isinstance(said.get("payload"), Mapping):
        raise GiveUp(f"the undo of {effect.operation} is not an object with a payload; correct who proposes it")
    words = {"{reference}": receipt.reference, "{key}": effect.key}
    payload = _filled(said["payload"], words, 0)
    operation = str(said.get("operation") or f"{effect.operation}.undo")
    return Undo(operation, str(said.get("effector") or kind), payload)


def _filled(value: Json, words: Mapping[str, str], depth: int) -> Json:
    if depth > DEPTH_MAX:
        raise GiveUp(f"the undo is nested deeper than {DEPTH_MAX}; flatten it")
    if isinstance(value, str):
        for word, meant in words.items():
            value = value.replace(word, meant)
        return value
    if isinstance(value, list):
        return [_filled(item, words, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {name: _filled(item, words, depth + 1) for name, item in value.items()}
    return value
