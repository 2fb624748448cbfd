"""Every error that coordination raises.

    NoesisError (kg.errors)
    ├── InputError
    │   ├── LaneError           no agent's messages travel in a queue of that name
    │   ├── DraftError          an agent handed in a draft that cannot become a proposal
    │   ├── PolicyError         a conflict policy makes no sense
    │   ├── MeasureError        a workflow declares no usable measure of its success
    │   ├── RoutingError        nobody can be routed to
    │   └── WorkflowError       a workflow document cannot be used, with line and column
    ├── AnswerError             an agent that was asked gave no usable answer
    ├── StateError              a proposal or effect cannot move from where it is to where it was sent
    │   └── UnknownSubjectError     (also UnknownIdError) there is none
    ├── ClaimedError            another holder claimed the entity
    │   └── DeadlockError       holders wait for each other, and this one gives way
    ├── HeldError               a control holds the agent; the work waits for it
    ├── BrokerError             the message broker cannot be used
    └── EffectorError           an effector is not known or not configured
    RetryLater                  steers: not now, try again (the work is not done, nothing of it happened)
    GiveUp                      steers: never, a person has to look

RetryLater and GiveUp are the whole vocabulary of retrying; every other exception counts as RetryLater until the attempts end.
"""

from datetime import datetime

from kg.errors import InputError, NoesisError, UnknownIdError


class LaneError(InputError):
    """There is no such queue; name a department of the agents, or general."""


class DraftError(InputError):
    """The draft cannot become a proposal; correct the agent that made it."""


class PolicyError(InputError):
    """The conflict policy makes no sense; correct its steps or numbers."""


class MeasureError(InputError):
    """The workflow declares no usable measure of its success; declare `metadata: {success: …}` in its document."""


class RoutingError(InputError):
    """No agent can be routed to; declare the capability on an agent, or correct its name."""


class WorkflowError(InputError):
    """The workflow cannot be used; correct the named line."""


class AnswerError(NoesisError):
    """The agent gave no usable answer; correct it, or ask another."""


class StateError(NoesisError):
    """The state table does not allow this move; read the entity again."""


class UnknownSubjectError(StateError, UnknownIdError):
    """There is no such decision; take ids from `noesis inbox`."""


class ClaimedError(NoesisError):
    """Another holder claimed this; wait until it is released or ends."""

    def __init__(self, message: str | None = None, until: datetime | None = None) -> None:
        super().__init__(message)
        self.until = until


class DeadlockError(ClaimedError):
    """Holders wait for each other; release what you hold, then claim again."""


class HeldError(NoesisError):
    """A control holds this; set the control to run and it goes on."""


class BrokerError(NoesisError):
    """The message broker cannot be used; check its address, or run embedded with no broker set."""


class EffectorError(NoesisError):
    """No such effector is configured; name one that is, or configure it."""


class RetryLater(Exception):
    """The work cannot be done now and nothing of it happened.

    `seconds` is the wait, None for the usual back-off; an uncounted wait uses up no try.
    """

    def __init__(self, reason: str, seconds: float | None = None, counted: bool = True) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.counted = counted


class GiveUp(Exception):
    """The work can never be done as it is; the reason goes on record and a person has to look."""
