"""Three knowledge sources of the board. Each looks at it, writes its line when it can, and is silent otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Put

EQUIPMENT = {"engineer": "workstation", "seller": "laptop and phone"}
FLOORS = {"engineer": "3", "seller": "1"}


@dataclass(frozen=True, slots=True)
class Source:
    """An agent that writes one property of the board; `know` gives its value, or None where it cannot say yet."""

    name: str
    line: str
    know: Callable[[Entity], str | None]
    version: str = "1.0"
    department: str = "hr"
    priority: int = 10
    wakes: tuple[Wake, ...] = ()

    @property
    def capabilities(self) -> tuple[str, ...]:
        """It writes its line and nothing else."""
        return (f"board.{self.line}",)

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Write the line where it is missing and can be known."""
        del change
        value = self.know(entity) if self.line not in entity.properties else None
        if value is None:
            return ()
        writes = (Put(entity.id, "Hire", {self.line: value}),)
        others = tuple(f"board.{source.line}" for source in AGENTS)
        evidence = context.evidence(entity)
        why = f"{self.line}: {value}"
        return (Draft(f"board.{self.line}", entity.id, writes, rationale=why, evidence=evidence, compatible=others),)


def equipment(hire: Entity) -> str | None:
    """What the job needs."""
    return EQUIPMENT.get(str(hire["job"]), "laptop")


def access(hire: Entity) -> str | None:
    """Accounts for the equipment, so not before that is known."""
    known = hire.get("equipment")
    return f"mail, {known}" if known else None


def desk(hire: Entity) -> str | None:
    """A desk on the floor of the job."""
    return f"floor {FLOORS.get(str(hire['job']), '2')}"


AGENTS = (Source("equipment", "equipment", equipment), Source("access", "access", access), Source("desk", "desk", desk))
