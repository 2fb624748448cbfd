"""The helpdesk's export: one JSON object a line, times in UTC. It knows a customer only by the domain of the requester's
e-mail (any case), an order only as spelled in the text, and an article without the ERP's hyphen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from examples.distributor.systems.table import json_line

FILE = "helpdesk.jsonl"


@dataclass(slots=True)
class Ticket:
    """One ticket; `team` is the one that solved it or has it, none while it waits for routing."""

    ticket_id: str
    created_at: str
    requester_email: str
    subject: str
    body: str
    product_sku: str | None
    category: str
    team: str | None
    status: str


@dataclass(slots=True)
class Helpdesk:
    """All tickets of the helpdesk."""

    tickets: list[Ticket] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write helpdesk.jsonl."""
        (folder / FILE).write_text("".join(json_line(asdict(t)) for t in self.tickets), encoding="utf-8")
