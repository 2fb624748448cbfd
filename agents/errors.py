"""Every error that thinking raises.

NoesisError (kg.errors)
├── AgentError            an agent module or agent cannot be used
│   └── AgentFaultError   an agent raised while it acted
└── ModelError            a model did not answer usably
    ├── ModelOffError     no model is configured
    ├── ModelBudgetError  a budget for models is used up, and says to go on without
    └── ModelRefusedError a rule forbids what would have left
"""

from kg.errors import InputError, NoesisError


class AgentError(InputError):
    """The agent cannot be used; correct its module."""


class AgentFaultError(NoesisError):
    """The agent raised an error while it acted; correct the agent, then retry the work."""


class ModelError(NoesisError):
    """The model gave no usable answer; check its address, key and limits, or let a deterministic agent decide."""


class ModelOffError(ModelError):
    """No model is configured; set NOESIS_LLM_URL and NOESIS_LLM_MODEL, or use an agent that needs none."""


class ModelBudgetError(ModelError):
    """The budget for model calls is used up; decide without a model, or raise it with `noesis budgets set`."""


class ModelRefusedError(ModelError):
    """A rule forbids sending this to a model; see the decision on record, and leave out what it names."""
