"""The contract of port Model, over OpenAIModel and a local server that speaks its protocol: one question, one answer that fits."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from agents.errors import ModelError
from agents.models.model import Model, Question
from agents.models.openai import REQUESTS_MAX, OpenAIModel
from tests.agents.openai_server import openai_server


class Verdict(BaseModel):
    team: str
    confidence: float = Field(ge=0, le=1)


QUESTION = Question("Choose a team.", "The printer is on fire.", Verdict)
Make = Callable[[str], Model]


@pytest.fixture(name="make", params=[lambda url: OpenAIModel(url, "small")], ids=["OpenAIModel"])
def _make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def test_an_answer_fits_and_says_what_it_cost(make: Make) -> None:
    with openai_server([{"team": "facilities", "confidence": 0.9}]) as (url, seen):
        model = make(url)
        answer = model.ask(QUESTION)
    assert answer.output == Verdict(team="facilities", confidence=0.9)
    assert (answer.model, answer.prompt, answer.requests) == (model.name, QUESTION.digest, len(seen))
    assert answer.tokens_in > 0
    assert answer.tokens_out > 0
    assert "The printer is on fire." in str(seen[0]["messages"])


def test_what_never_fits_ends_within_the_bound(make: Make) -> None:
    with openai_server([{"team": 7, "confidence": 3}]) as (url, seen), pytest.raises(ModelError):
        make(url).ask(QUESTION)
    assert 1 <= len(seen) <= REQUESTS_MAX


def test_a_refusal_or_an_absent_server_is_a_model_error(make: Make) -> None:
    answers: list[dict[str, Any]] = [{}]
    with openai_server(answers, status=400) as (url, _), pytest.raises(ModelError) as refused:
        make(url).ask(QUESTION)
    with pytest.raises(ModelError) as absent:
        make(url).ask(QUESTION)
    assert all("\n" not in str(error.value) for error in (refused, absent))


def test_the_digest_names_the_question_and_the_answer(make: Make) -> None:
    assert Question("Choose a team.", "Something else.", Verdict).digest != QUESTION.digest
    with openai_server([{"team": "a", "confidence": 1}, {"team": "b", "confidence": 1}]) as (url, _):
        first, second = make(url).ask(QUESTION), make(url).ask(QUESTION)
    assert first.prompt == second.prompt
    assert first.digest != second.digest
