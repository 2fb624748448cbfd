"""Every error governance raises, so that a caller can tell a bad rule from a missing right from a lost race.

    NoesisError
    └── GovernanceError           governance says no, or cannot say
        ├── RuleError             (also InputError) a rule text, its name or its status
        │   └── SelfReviewError       by its own author
        ├── PeopleError           (also InputError) people.yaml, with its line
        ├── CaseError             (also InputError) a file of rule cases, with its line
        ├── ReplayError           a recorded decision that cannot be made again
        ├── PrincipalError        nobody of that name
        ├── KeyRejectedError      an API key that opens nothing
        ├── DeniedError           a decision said no; it carries the verdict
        ├── ApprovalError         an approval that cannot be given
        │   ├── SelfApprovalError     by the proposer itself (I5)
        │   ├── ApprovalExpiredError  too late
        │   ├── AlreadyAnsweredError  the same person said otherwise before
        │   ├── LinkError             a link of a notice that is forged, used, over or out of date
        │   └── NotWaitingError       the decision asks for no approval
        │       └── UnknownDecisionError  (also UnknownIdError) there is none
        ├── BreakGlassError       break-glass that cannot be opened, closed or reviewed so
        │   └── UnknownBreakGlassError  (also UnknownIdError) there is none
        ├── ControlError          a control that does not exist or cannot change so
        ├── ErasureError          a person who cannot be forgotten so
        ├── DossierError          (also InputError) nothing to report on
        └── BudgetError           a budget is used up, or cannot be as given

The class docstring is the default message and says the remedy. No message repeats a property value of an entity.
"""

from kg.errors import InputError, NoesisError, UnknownIdError


class GovernanceError(NoesisError):
    """Governance refuses this; see the decision that was recorded."""


class RuleError(GovernanceError, InputError):
    """The rule cannot be used; correct its Cedar text."""


class SelfReviewError(RuleError):
    """Nobody reviews an own rule, under whatever identity; ask somebody else."""


class PeopleError(GovernanceError, InputError):
    """The people file cannot be used; correct the named line."""


class CaseError(GovernanceError, InputError):
    """The file of cases cannot be used; correct the named line."""


class ReplayError(GovernanceError):
    """The decision cannot be made again from its record; the report of the decision still shows what it says."""


class PrincipalError(GovernanceError):
    """No such user, agent or service; add it to people.yaml and run `noesis people import`."""


class KeyRejectedError(GovernanceError):
    """The API key is unknown, expired or revoked; ask for a new one."""


class DeniedError(GovernanceError):
    """The rules do not allow this; ask for the right, or for a rule that gives it."""

    def __init__(self, message: str | None = None, decision: str | None = None) -> None:
        super().__init__(message)
        self.decision = decision


class ApprovalError(GovernanceError):
    """The approval cannot be given; read the decision again."""


class SelfApprovalError(ApprovalError):
    """Nobody approves an own proposal, under whatever identity; ask somebody else."""


class ApprovalExpiredError(ApprovalError):
    """The time to answer has passed; the proposal must be made again."""


class AlreadyAnsweredError(ApprovalError):
    """You answered otherwise before, and an answer stands; let the proposal be made again."""


class NotWaitingError(ApprovalError):
    """This decision asks for no approval; look for the open one in the inbox."""


class UnknownDecisionError(NotWaitingError, UnknownIdError):
    """There is no such decision; look in the inbox."""


class BreakGlassError(GovernanceError):
    """Break-glass cannot be used so; see `noesis breakglass --help`."""


class UnknownBreakGlassError(BreakGlassError, UnknownIdError):
    """There is no such break-glass; list them to see which there are."""


class ControlError(GovernanceError):
    """The control cannot change so; use scope global, agent:NAME or department:NAME."""


class LinkError(ApprovalError):
    """This link opens nothing; answer in the inbox, or wait for another notice."""


class BudgetError(GovernanceError):
    """The budget is used up; raise it with `noesis budgets set`, or wait for its next window."""

    def __init__(self, message: str | None = None, when_out: str = "") -> None:
        super().__init__(message)
        self.when_out = when_out


class ErasureError(GovernanceError):
    """The person cannot be forgotten so; see `noesis forget --help`."""


class DossierError(GovernanceError, InputError):
    """There is nothing to report on; give a decision, run, agent, person or period."""
