"""The Python builder gives the same documents as the text, for all twelve tasks; random ones are valid and come back the same."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from coordination.errors import WorkflowError
from coordination.workflow import builder as w
from coordination.workflow.document import parse
from coordination.workflow.tasks import KINDS
from coordination.workflow.validation import validate
from coordination.workflow.walk import entries
from kg.jq import Jq
from tests.oracles import workflow as oracle

TEXT = """
document:
  dsl: '1.0.3'
  namespace: finance
  name: close
  version: 1.2.0
  title: Close the month
input:
  schema:
    document: { type: object, required: [ month ] }
use:
  errors:
    late: { type: 'https://example.com/late', status: 409, title: Late }
  retries:
    thrice: { delay: { seconds: 2 }, backoff: { exponential: {} }, limit: { attempt: { count: 3 } } }
  functions:
    score: { set: { score: '${ .amount / 100 }' } }
do:
  - begin:
      set: { month: '${ .month }', open: true }
      export: { as: '{ month: .month }' }
  - route:
      switch:
        - urgent: { when: .urgent, then: collect }
        - other: { then: continue }
  - pause:
      if: .open
      wait: { milliseconds: 1500 }
  - collect:
      fork:
        branches:
          - ledger:
              call: http
              with:
                method: get
                endpoint: https://example.com/ledger/{month}
                query: { page: '1' }
          - bank:
              call: openapi
              with:
                document: { endpoint: 'https://example.com/openapi.json' }
                operationId: statements
                parameters: { month: '${ .month }' }
        compete: false
  - each:
      for: { each: entry, in: .entries, at: place }
      while: $place < 10
      do:
        - rate: { call: score, with: { amount: '${ $entry.amount }' } }
  - guarded:
      try:
        - post:
            run:
              workflow: { namespace: finance, name: post, version: 1.0.0, input: { month: '${ $context.month }' } }
      catch:
        errors: { with: { status: 503 } }
        as: problem
        retry: thrice
        do:
          - note: { set: { failed: '${ $problem.title }' } }
        then: hear
  - shell:
      run:
        shell: { command: echo done }
        return: code
  - hear:
      listen:
        to:
          any:
            - with: { type: com.example.paid }
              correlate: { month: { from: .data.month, expect: '${ $context.month }' } }
          until: (. | length) == 2
        read: envelope
      foreach:
        item: paid
        do:
          - keep: { set: { paid: '${ $paid.data }' } }
      timeout: { after: { seconds: 3600 } }
  - tell:
      emit:
        event:
          with: { type: com.example.closed, data: { month: '${ $context.month }' } }
  - inside:
      do:
        - never:
            if: 'false'
            raise: { error: late }
      then: end
"""


def built(jq: Jq) -> Any:
    """The same, in Python."""
    common = w.Common
    return w.workflow(
        "finance",
        "close",
        "1.2.0",
        title="Close the month",
        input_schema={"type": "object", "required": ["month"]},
        use={
            "errors": {"late": w.error("https://example.com/late", 409, "Late")},
            "retries": {"thrice": w.retry(delay=2, backoff="exponential", count=3)},
            "functions": {"score": {"set": {"score": "${ .amount / 100 }"}}},
        },
        tasks=[
            w.set_("begin", {"month": "${ .month }", "open": True}, common(export_as="{ month: .month }")),
            w.switch("route", w.Case("urgent", "collect", ".urgent"), w.Case("other", "continue")),
            w.wait("pause", 1.5, common(if_=".open")),
            w.fork(
                "collect",
                [
                    w.http("ledger", "get", "https://example.com/ledger/{month}", query={"page": "1"}),
                    w.openapi("bank", "https://example.com/openapi.json", "statements", {"month": "${ .month }"}),
                ],
                compete=False,
            ),
            w.for_(
                "each",
                ".entries",
                [w.call("rate", "score", {"amount": "${ $entry.amount }"})],
                each="entry",
                at="place",
                while_="$place < 10",
            ),
            w.try_(
                "guarded",
                [w.run_workflow("post", "finance", "post", "1.0.0", {"month": "${ $context.month }"})],
                w.catch(
                    [w.set_("note", {"failed": "${ $problem.title }"})],
                    errors={"status": 503},
                    as_="problem",
                    retry="thrice",
                    then="hear",
                ),
            ),
            w.run_process("shell", "shell", {"command": "echo done"}, **{"return": "code"}),
            w.listen(
                "hear",
                w.any_(
                    w.event(
                        "com.example.paid", correlate={"month": w.correlation(".data.month", "${ $context.month }")}
                    ),
                    until="(. | length) == 2",
                ),
                read="envelope",
                foreach=w.iterator([w.set_("keep", {"paid": "${ $paid.data }"})], item="paid"),
                common=common(timeout=3600),
            ),
            w.emit("tell", "com.example.closed", {"month": "${ $context.month }"}),
            w.do("inside", [w.raise_("never", "late", common(if_="false"))], common(then="end")),
        ],
        jq=jq,
    )


def test_the_builder_gives_the_document_of_the_text() -> None:
    with Jq() as jq:
        one, other = parse(TEXT), built(jq)
        assert other.body == one.body
        assert (other.key, other.digest) == (one.key, one.digest)
        assert {entry.kind for entry in entries(one.body)} == set(KINDS)
        assert not validate(one, jq=jq)


def test_what_is_wrong_is_named_by_its_pointer() -> None:
    with pytest.raises(WorkflowError, match=r"^close/do/0/a/call: there is no function `nobody`"):
        w.workflow("finance", "close", "1.0.0", [w.call("a", "nobody")])


def test_other_forms() -> None:
    assert w.duration(90) == {"seconds": 90}
    assert w.duration("PT1H") == "PT1H"
    assert w.duration({"days": 2}) == {"days": 2}
    assert w.one(w.event(source="x")) == {"one": {"with": {"source": "x"}}}
    assert w.all_(w.event("a"), w.event("b")) == {"all": [{"with": {"type": "a"}}, {"with": {"type": "b"}}]}
    policy = w.retry(attempt=1, within="PT1H", jitter=(1, 2), when=".a", except_when=".b")
    assert policy["limit"] == {"attempt": {"duration": {"seconds": 1}}, "duration": "PT1H"}
    assert policy["jitter"] == {"from": {"seconds": 1}, "to": {"seconds": 2}}
    shaped = w.Common(input_from=".x", output_as=".y", output_schema={}, timeout_named="t", metadata={"a": 1}).fields()
    assert shaped == {
        "input": {"from": ".x"},
        "output": {"schema": {"document": {}}, "as": ".y"},
        "timeout": "t",
        "metadata": {"a": 1},
    }


_NAMES = st.integers(0, 29).map("t{}".format)


_COMMON = st.builds(
    w.Common,
    if_=st.sampled_from([None, ".n > 1", "true"]),
    then=st.sampled_from([None, "continue", "exit", "end"]),
    output_as=st.sampled_from([None, ".", "{ n: 1 }"]),
    export_as=st.sampled_from([None, "{ seen: 1 }"]),
    timeout=st.sampled_from([None, 5, "PT9S"]),
)


def _unique(tasks: st.SearchStrategy[w.Named], least: int = 1) -> st.SearchStrategy[list[w.Named]]:
    return st.lists(tasks, min_size=least, max_size=3, unique_by=lambda task: task.name)


_LEAVES = st.one_of(
    st.builds(w.set_, _NAMES, st.dictionaries(_NAMES, st.sampled_from([1, "x", "${ .n }"]), min_size=1), _COMMON),
    st.builds(w.wait, _NAMES, st.integers(0, 100), _COMMON),
    st.builds(w.raise_, _NAMES, st.just(w.error("https://example.com/e", 500)), _COMMON),
    st.builds(w.emit, _NAMES, st.just("com.example.e"), st.integers(-9, 9), common=_COMMON),
    st.builds(
        w.switch,
        _NAMES,
        st.builds(w.Case, st.just("c"), st.sampled_from(["end", "exit"]), st.just(".n")),
        common=_COMMON,
    ),
)
TASKS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(w.do, _NAMES, _unique(inner), _COMMON),
        st.builds(w.fork, _NAMES, _unique(inner), compete=st.sampled_from([None, True]), common=_COMMON),
        st.builds(w.for_, _NAMES, st.just("[1, 2]"), _unique(inner), common=_COMMON),
        st.builds(
            w.try_,
            _NAMES,
            _unique(inner),
            st.builds(w.catch, _unique(inner), retry=st.sampled_from([None, w.retry(delay=1, count=2)])),
            _COMMON,
        ),
    ),
    max_leaves=8,
)


@cache
def compiler() -> Jq:
    """One compiler for every example; the fixture ends it."""
    return Jq()


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    compiler().close()


# Hypothesis writes a strategy out where a filter refuses often, and warns that a recursive one is long.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(max_examples=60, deadline=None)
@given(_unique(TASKS), st.one_of(st.none(), st.dictionaries(_NAMES, st.integers(0, 3))))
def test_random_workflows_are_valid_come_back_and_run(tasks: list[w.Named], input: Any) -> None:
    document = w.workflow("random", "one", "1.0.0", tasks, jq=compiler())
    for text in (json.dumps(document.body), yaml.safe_dump(document.body), json.dumps(document.body, indent=1)):
        again = parse(text, "w.yaml")
        assert (again.body, again.digest) == (document.body, document.digest)
    assert oracle.run(document.body, input).status in ("completed", "faulted")
