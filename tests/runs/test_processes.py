"""`run: shell` and `run: script` in durable runs: off until switched on, governed, recorded, never twice."""

from collections.abc import Iterator
from typing import Any

import pytest

from coordination.effectors.confining import Bounds
from coordination.effectors.effector import Effect, Receipt
from coordination.effectors.process import Process, ProcessSettings
from kg.model import Entity
from tests.coordination.plant import RULES
from tests.runs.works import STARTERS_MAY, Works, works

FORBIDDEN = (
    '@id("no-shell") forbid(principal, action == Action::"apply", resource) when { context.operation == "run.shell" };'
)


@pytest.fixture
def here() -> Iterator[Works]:
    with works(effectors=[Process(ProcessSettings(Bounds(seconds=5)))]) as made:
        yield made


def shell(command: str, more: str = "", task: str = "") -> str:
    return f"do: [{{sh: {{run: {{shell: {{command: '{command}'}}{more}}}{task}}}}}]"


def effects(here: Works) -> list[Entity]:
    return list(here.store.find("Effect", [], first=100).items)


def problem(here: Works, run: str) -> tuple[str, Any, str]:
    found = here.run(run).error
    return found["type"].rpartition("/")[2], found["status"], found["detail"]


def test_the_reference_s_example_runs(here: Works) -> None:
    text = """
do:
  - setInput: {set: {message: Hello World}}
  - runShell:
      input: {from: '${ .message }'}
      run:
        shell:
          stdin: ${ . }
          command: |
            input=$(cat)
            echo "STDIN was: $input"
            echo "ARGS are $1 $2"
          arguments: [Foo, Bar]
"""
    run = here.start(text)
    assert here.output(run) == "STDIN was: Hello World\nARGS are Foo Bar\n"
    (done,) = effects(here)
    assert (done["status"], done["effector"], done["operation"]) == ("done", "process", "run.shell")


@pytest.mark.parametrize(
    ("returned", "output"),
    [("stdout", "out\n"), ("stderr", "err\n"), ("code", 0), ("none", None),
     ("all", {"code": 0, "stdout": "out\n", "stderr": "err\n"})],
)  # fmt: skip
def test_return_chooses_the_output(here: Works, returned: str, output: Any) -> None:
    assert here.output(here.start(shell("echo out; echo err >&2", f", return: {returned}"))) == output


def test_a_process_that_fails_is_an_error_where_its_success_is_asked_for(here: Works) -> None:
    assert problem(here, here.start(shell("echo no >&2; exit 3"))) == (
        "runtime",
        500,
        "the process ended with exit code 3: no",
    )
    assert here.output(here.start(shell("exit 3", ", return: code"), name="two")) == 3


def test_a_process_that_takes_too_long_is_the_timeout_error(here: Works) -> None:
    run = here.start(shell("sleep 60", task=", timeout: {after: {milliseconds: 300}}"))
    assert problem(here, run)[:2] == ("timeout", 408)
    assert [item["status"] for item in effects(here)] == ["done"]


def test_what_is_not_awaited_gives_the_input_and_runs(here: Works) -> None:
    run = here.start(shell("echo later", ", await: false"), {"n": 1})
    assert here.output(run) == {"n": 1}
    here.drain()
    (done,) = effects(here)
    assert (done["status"], "later" in done["receipt"]) == ("done", True)


def test_it_is_off_until_it_is_switched_on() -> None:
    with works() as here:
        for text, said in (
            (shell("id"), "effectors.process"),
            ("do: [{c: {run: {container: {image: x}}}}]", "`run: container`"),
        ):
            run = here.start(text, name="shell" if "shell" in text else "container")
            assert problem(here, run)[1] == 501
            assert said in problem(here, run)[2]


def test_it_is_decided_like_every_effect() -> None:
    with works(effectors=[Process()], rules=(*RULES, STARTERS_MAY, FORBIDDEN)) as here:
        assert problem(here, here.start(shell("id")))[:2] == ("authorization", 403)
        assert not effects(here)
        ran = here.start("do: [{p: {run: {script: {language: python, code: print(1)}}}}]", name="two")
        assert here.output(ran) == "1\n"


def test_a_dry_run_runs_nothing(here: Works, tmp_path: Any) -> None:
    run = here.start(shell(f"touch {tmp_path}/x"), sandbox=True)
    assert here.output(run)["would"]["run"] == "shell"
    (done,) = effects(here)
    assert (done["status"], list(tmp_path.iterdir())) == ("simulated", [])


class Dying(Process):
    """A process effector whose worker is gone between act and receipt."""

    ran = 0

    def act(self, effect: Effect) -> Receipt:
        Dying.ran += 1
        super().act(effect)
        raise KeyboardInterrupt


def test_a_crash_between_act_and_receipt_leaves_doubt_and_repeats_nothing() -> None:
    Dying.ran = 0
    with works(effectors=[Dying()]) as here:
        with pytest.raises(KeyboardInterrupt):
            here.start(shell("echo once"))
        for _ in range(5):
            here.later(600)
        assert Dying.ran == 1
        assert [item["status"] for item in effects(here)] == ["in_doubt"]


def test_what_it_writes_is_data(here: Works) -> None:
    text = shell('printf "%s{ env }" "$"', task=", output: {as: '${ {said: .} }'}")
    assert here.output(here.start(text)) == {"said": "${ env }"}
