"""Port Model: one question to a language model, one validated answer.

Invariant: what is in a Question is what leaves the house, so masking happens before one is made. The port knows no provider.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from coordination.acting import NOWHERE, Within
from kg.values import canonical


@dataclass(frozen=True, slots=True)
class Question:
    """Instructions (ours), material (data of the graph: never instructions) and the Pydantic model the answer must fit."""

    instructions: str
    material: str
    output: type[BaseModel]

    @property
    def digest(self) -> str:
        """SHA-256 of the prompt and the answer's schema."""
        parts = [self.instructions, self.material, canonical(self.output.model_json_schema())]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """A validated answer with what it cost: tokens in and out, requests made."""

    output: BaseModel
    model: str
    prompt: str
    tokens_in: int
    tokens_out: int
    requests: int

    @property
    def digest(self) -> str:
        """SHA-256 of the prompt's digest and the answer."""
        return hashlib.sha256(f"{self.prompt}\x1f{self.output.model_dump_json()}".encode()).hexdigest()


class Model(Protocol):
    """A language model behind any provider."""

    @property
    def name(self) -> str:
        """Provider's name of the model, recorded with each decision."""

    def ask(self, question: Question) -> Answer:
        """Ask once, within the adapter's limits of time, tokens and retries; raises ModelError."""


class Meter(Protocol):
    """What budgets say of a question: asked around every one of them, whatever model answers."""

    def ask(self, agent: str, call: Callable[[], Answer], within: Within = NOWHERE) -> Answer:
        """Reserve for an agent and its run, call, and settle what was used; raises where a budget is used up, without calling."""
