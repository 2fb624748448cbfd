"""What the demo asks of this example: make the systems, let the live day happen, say what to ingest, and judge what was done.

Invariant: it touches the source systems only; ingesting, acting and approving are the platform's part.
"""

from dataclasses import dataclass
from pathlib import Path

from examples.distributor.generate import DEFAULT_SEED, generate
from examples.distributor.live import apply_live
from examples.distributor.truth import Truth, read_truth

PROJECT = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Source:
    """One source system: the mapping file that reads it, and where it stands."""

    mapping: Path
    location: Path


def prepare(out_dir: str | Path, seed: int = DEFAULT_SEED) -> Truth:
    """Make the four systems as they stand before the live day."""
    return generate(out_dir, seed)


def go_live(out_dir: str | Path) -> int:
    """Let the live day happen in the systems; how many rows changed."""
    return apply_live(out_dir)


def truth(out_dir: str | Path) -> Truth:
    """What was planted."""
    return read_truth(Path(out_dir) / "truth.json")


def sources(out_dir: str | Path) -> tuple[Source, ...]:
    """What to ingest, in order: sales first, so that finance's customers find their accounts; the calendar opens the day."""
    folder = Path(out_dir)
    places = {
        "crm": folder / "crm.db",
        "erp": folder / "erp.db",
        "logistics": folder,
        "helpdesk": folder,
        "calendar": folder / "erp.db",
    }
    return tuple(Source(PROJECT / f"{name}.yaml", location) for name, location in places.items())
