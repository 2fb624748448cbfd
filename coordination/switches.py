"""Switches: which controls lie over a proposal, an agent or a step of a run, and what they say together.

Invariant I11: what is read here is expected by the commit that relies on it. The controls of every agent behind a merged proposal
count. Sets nothing.
"""

from dataclasses import replace

from coordination.proposals import Proposal
from governance import controls
from governance.controls import Standing
from kg.store import GraphStore


def over_agent(store: GraphStore, agent: str, department: str | None) -> Standing:
    """The controls over an agent that is about to think."""
    return controls.standing(store, controls.scopes(agent, department))


def over_run(store: GraphStore, agent: str) -> Standing:
    """The controls over the steps of a run; a workflow acts as the agent of its own name."""
    return controls.standing(store, controls.scopes(agent, workflow=agent))


def over(store: GraphStore, proposal: Proposal) -> Standing:
    """The controls over a proposal: its agents', department's, workflow's and tool's."""
    run = proposal.text("run")
    workflow = controls.workflow_of(store.get([run]).get(run)) if run else ""
    lying: dict[str, None] = {}
    for name in (proposal.text("agent"), *proposal.texts("partners")):
        found = controls.scopes(name, proposal.text("department"), workflow, proposal.text("effector"))
        lying |= dict.fromkeys(found)
    standing = controls.standing(store, tuple(lying))
    if standing.shadow and proposal.text("undoes"):
        # What was done for real cannot be undone in shadow, so the undoing waits.
        return replace(standing, held=standing.held or standing.shadow)
    return standing


def words(agent: str, held: str) -> str:
    """Why an agent may not begin anything now."""
    return f"agent {agent} is held by {held}; it goes on when that lets it"
