"""Settings of workflows: the table ``[workflows]`` of noesis.toml: how tasks are routed, and what a schedule must declare.

Invariant: an unknown key is refused. Opens nothing.
"""

from pydantic import BaseModel, ConfigDict, Field

from coordination.routing import Weights


class RoutingTable(BaseModel):
    """How much each component of a score counts, and how it is scaled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    success: float = Field(default=0.5, ge=0, le=1_000)
    cost: float = Field(default=0.15, ge=0, le=1_000)
    latency: float = Field(default=0.1, ge=0, le=1_000)
    load: float = Field(default=0.15, ge=0, le=1_000)
    department: float = Field(default=0.1, ge=0, le=1_000)
    cost_half: float = Field(default=1.0, gt=0)
    latency_half: float = Field(default=10.0, gt=0)
    explore: bool = False
    seed: int = 0


class WorkflowTable(BaseModel):
    """What workflows of this installation are held to."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    measured: bool = False
    """Whether a schedule is activated only where the workflow declares by what its success is measured."""
    events: str = ""
    """Address that gets the lifecycle events of runs and tasks as CloudEvents, by POST; empty: nobody."""
    events_secret: str = ""
    """The secret that holds the bearer token for it."""
    events_allow: tuple[str, ...] = ()
    """Hosts and networks of it that may be private or without encryption."""
    routing: RoutingTable = RoutingTable()
    """The weights of routing."""

    def weights(self) -> Weights:
        """The weights as the router takes them."""
        return Weights(**self.routing.model_dump())
