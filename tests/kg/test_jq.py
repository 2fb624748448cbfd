"""jq in its confined child: right answers, and nothing that a hostile program wants."""

import os
import threading
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.jq import CHILDREN_MAX, Jq, JqError, Result, as_json
from kg.values import INTEGER_MAX


@pytest.fixture(scope="module")
def jq() -> Iterator[Jq]:
    with Jq(memory_bytes=400_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def hasty() -> Iterator[Jq]:
    """For programs that never end; one that does may need more than a second where many processes share the machine."""
    with Jq(deadline_seconds=1.0, memory_bytes=400_000_000) as running:
        yield running


def test_one_result_a_value(jq: Jq) -> None:
    assert jq.run(".a * 2", [{"a": 1}, {"a": 2.5}]) == [Result(2), Result(5)]
    assert [result.value for result in jq.run(".a", [{"a": 1}, {"a": None}, {}])] == [1, None, None]
    assert jq.run("empty", [{}]) == [Result()]
    assert jq.run("1 # a comment", [{}]) == [Result(1)]
    assert jq.run(".", []) == []


def test_an_error_belongs_to_its_row(jq: Jq) -> None:
    good, bad, many = jq.run(
        'if .a == 2 then error("no two") elif .a == 3 then (1, 2) else .a end', [{"a": 1}, {"a": 2}, {"a": 3}]
    )
    assert good == Result(1)
    assert bad.error == "no two"
    assert "several values" in str(many.error)


@pytest.mark.parametrize(
    "program", ["a b", "(", ")", '"\\ud800"', 'import "a" as a; .', 'include "a"; .', "$__prog_args", "x" * 30_000]
)
def test_what_does_not_compile_is_refused(jq: Jq, program: str) -> None:
    with pytest.raises(JqError, match="jq program"):
        jq.check(program)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("[repeat(1)]", "longer than 1 s"),
        ("def f: f; f", "longer than 1 s"),
        ("reduce range(1e12) as $i (0; . + $i)", "longer than 1 s"),
        ("last(repeat(.))", "longer than 1 s"),
        ('[limit(100000; repeat("x" * 1000))]', "longer than"),
    ],
)
def test_an_endless_or_huge_program_is_stopped_and_the_next_runs(
    hasty: Jq, program: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(JqError, match=words):
        hasty.run(program, [{}])
    # The next one ends, and its child has to start first.
    monkeypatch.setattr(hasty, "_deadline", 60.0)
    assert hasty.run("1 + 1", [{}]) == [Result(2)]


def test_a_program_that_needs_too_much_memory_is_stopped(jq: Jq) -> None:
    with pytest.raises(JqError, match="more than 400 MB"):
        jq.run('"x" * 1000000000', [{}])
    assert jq.run("1 + 1", [{}]) == [Result(2)]


@pytest.mark.parametrize(
    "program",
    [
        "env", "$ENV", ".) | env | (.", ".) | $ENV | (.", "$ENV.PATH", "env.HOME", "input_filename", "input", "[inputs]",
        "get_search_list", '"/etc/passwd" | modulemeta', "halt", '"x" | halt_error', "$__loc__.file | select(. != \"<top-level>\")",
        '"a" | debug | empty', "stderr | empty",
    ],
)  # fmt: skip
def test_a_program_learns_nothing_about_its_surroundings(jq: Jq, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESIS_SECRET", "swordfish")
    with Jq() as fresh:
        for running in (jq, fresh):
            (result,) = running.run(program, [{}])
            assert result.value in (None, {}, [])
    assert os.environ["NOESIS_SECRET"] == "swordfish"


def test_the_child_may_open_no_file_and_start_no_process(jq: Jq) -> None:
    jq.run(".", [1])
    assert jq._free[0]._process is not None
    process = Path("/proc") / str(jq._free[0]._process.pid)
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()}
    assert limits["Max open files"] == ["3", "3"]
    assert limits["Max processes"] == ["0", "0"]
    assert limits["Max file size"] == ["0", "0"]
    assert limits["Max address space"] == ["400000000", "400000000"]
    assert (process / "environ").read_bytes() == b""


def test_many_programs_do_not_pile_up(jq: Jq) -> None:
    for number in range(300):
        assert jq.run(f"{number}", [{}]) == [Result(number)]


def test_after_close_it_starts_again() -> None:
    jq = Jq()
    assert jq.run(".", [1]) == [Result(1)]
    jq.close()
    assert jq.run(".", [2]) == [Result(2)]
    jq.close()


def test_an_endless_program_holds_up_no_other_and_its_children_are_few() -> None:
    ended: list[str] = []

    def endless() -> None:
        with pytest.raises(JqError, match="longer than 4 s"):
            running.run("last(range(1e12))", [None])
        ended.append("endless")

    with Jq(deadline_seconds=4.0, memory_bytes=400_000_000) as running:
        threads = [threading.Thread(target=endless) for _ in range(CHILDREN_MAX - 1)]
        for thread in threads:
            thread.start()
        while running._busy < len(threads):
            threading.Event().wait(0.01)
        assert running.run_all([". + 1"], 1)[0].value == 2
        assert ended == []
        for thread in threads:
            thread.join()
        assert len(running._free) == CHILDREN_MAX
    assert running._free == []


def test_where_nobody_is_held_up_one_child_does_all(jq: Jq) -> None:
    for number in range(5):
        assert jq.run(". + 1", [number])[0].value == number + 1
    assert len(jq._free) == 1


def test_no_more_children_are_started_than_the_bound() -> None:
    with Jq(deadline_seconds=1.0, memory_bytes=400_000_000) as running:
        told: list[str] = []

        def endless() -> None:
            with pytest.raises(JqError):
                running.run("last(range(1e12))", [None])
            told.append("ended")

        threads = [threading.Thread(target=endless) for _ in range(CHILDREN_MAX + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(told), len(running._free)) == (CHILDREN_MAX + 1, CHILDREN_MAX)


def test_a_large_batch_passes_both_pipes(jq: Jq) -> None:
    rows = [{"a": "x" * 100_000} for _ in range(100)]
    assert [len(result.value) for result in jq.run(".a", rows)] == [100_000] * 100


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(_JSON)
def test_identity_keeps_every_json_value(jq: Jq, value: object) -> None:
    assert jq.run(".", [value]) == [Result(value)]


def test_source_values_enter_exactly_or_as_text() -> None:
    row = {
        "a": 2**60,
        "b": Decimal("0.1"),
        "c": Decimal("0.12345678901234567890"),
        "d": date(2026, 1, 2),
        "e": b"x",
        "f": float("nan"),
    }
    assert as_json(row) == {
        "a": str(2**60),
        "b": 0.1,
        "c": "0.12345678901234567890",
        "d": "2026-01-02",
        "e": None,
        "f": None,
    }
