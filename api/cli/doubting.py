"""`noesis resolve`: a person says what became of an effect of which nobody knows whether it happened.

Invariant: only an effect in doubt can be resolved, once; who may say so is decided and on record. Repeats and undoes nothing.
"""

from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Terminal
from coordination.effects import EFFECT, effect_id, resolve
from coordination.errors import StateError
from coordination.proposals import PROPOSAL, Proposal
from governance.configuring import permit


def settle_doubt(
    context: typer.Context,
    effect: Annotated[str, typer.Argument(help="Id of the effect, or of its proposal, from `noesis inbox`.")],
    happened: Annotated[bool, typer.Option("--happened/--not-happened", help="What the target says.")],
    comment: Annotated[str, typer.Option("--comment", "-m", help="How you know, for the record.")],
) -> None:
    """Say whether an effect in doubt happened, after you asked the system it was meant for."""
    session = session_of(context)
    with session.platform() as platform:
        who = session.principal(platform)
        found = platform.store.get([effect]).get(effect)
        if found is None or found.cls not in (EFFECT, PROPOSAL):
            raise StateError(f"there is no effect {effect[:80]!r}; take its id from `noesis inbox`")
        id = effect_id(Proposal(found)) if found.cls == PROPOSAL else effect
        if id not in platform.store.get([id]):
            raise StateError(f"proposal {effect[:80]!r} has no effect yet; there is nothing to resolve")
        permit(platform.store, platform.clock, platform.rules(), who, "effect.resolve", EFFECT, id)
        resolve(platform.store, platform.clock, id, happened, who.uid, comment)
    Terminal().line(f"Effect {id} is {'done' if happened else 'failed'}, as you say.")
