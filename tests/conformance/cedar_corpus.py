"""Decides the public Cedar test corpus through our evaluator: parsed, sliced by scope and asked as the platform does it.

The corpus is the one that the Go module of Cedar carries (Apache-2.0), of one version and checksum, fetched by `go` into its own
cache and never copied here. Without `go` the suite says so, and fails where REQUIRE_SERVICES=1. The last line printed is
`cedar: passed/total`; a policy that the platform refuses to take (a template, a namespaced action, too deep) is counted apart.
With a folder in NOESIS_CEDAR_CASES, a checkout of cedar-policy/cedar-integration-tests, its hand-written cases are decided too.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance import cedar, scope
from governance.cedar import Uid
from governance.errors import RuleError

MODULE, VERSION = "github.com/cedar-policy/cedar-go", "v1.9.1"
CHECKSUM = "h1:wkcJD04aFpc/+ZObLQsFXYkfvrQsuW8DOEPEb8r62AE="
ARCHIVE = "corpus-tests.tar.gz"
FETCH_SECONDS = 120
#: Disagreements printed.
SHOWN = 10


class AbsentError(Exception):
    """The corpus cannot be had here."""


@dataclass
class Tally:
    """What agreed, what did not, and what the platform refuses to take."""

    passed: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def fetch() -> Path:
    """The folder of the module in the cache of `go`; AbsentError where it is out of reach or is not what it was."""
    go = shutil.which("go")
    if go is None:
        raise AbsentError("`go` is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [go, "mod", "download", "-json", f"{MODULE}@{VERSION}"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AbsentError(f"the module could not be fetched ({type(error).__name__})") from None
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise AbsentError("the module could not be fetched") from None
    if told.get("Error") or "Dir" not in told:
        raise AbsentError("the module could not be fetched")
    if told["Sum"] != CHECKSUM:
        raise SystemExit(f"{MODULE} {VERSION} has checksum {told['Sum']}, not {CHECKSUM}; nothing was run")
    return Path(told["Dir"])


def cases(archive: Path) -> Iterator[tuple[str, Mapping[str, Any], str, str]]:
    """Name, test, policies and entities of every test, in the order of their names."""
    texts = {}
    with tarfile.open(archive) as packed:
        # In the order of the archive: going back in it would mean to unpack it anew.
        for one in packed:
            if (
                one.isfile()
                and one.name.endswith((".json", ".cedar"))
                and (found := packed.extractfile(one)) is not None
            ):
                texts[one.name.removeprefix("./")] = found.read().decode()
    for name in sorted(name for name in texts if name.endswith(".json") and not name.endswith(".entities.json")):
        test = json.loads(texts[name])
        yield name, test, texts[test["policies"]], texts[test["entities"]]


def by_hand(root: Path) -> Iterator[tuple[str, Mapping[str, Any], str, str]]:
    """Name, test, policies and entities of every case below `tests` of a folder, in the two forms that its files have had."""
    for file in sorted((root / "tests").rglob("*.json")):
        form = json.loads(file.read_text())
        asked = form.get("requests", form.get("queries")) if isinstance(form, dict) else None
        if asked is None:
            # A schema, or policies as JSON, beside the cases.
            continue
        requests = [
            {
                **one,
                "context": one.get("context", {}),
                "decision": str(one["decision"]).lower(),
                "reason": one.get("reason", one.get("reasons", [])),
                "errors": one.get("errors", []),
            }
            for one in asked
        ]
        policies, entities = ((root / form[what]).read_text() for what in ("policies", "entities"))
        yield file.relative_to(root).as_posix(), {"requests": requests}, policies, entities


def ancestors(entities: list[Mapping[str, Any]]) -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """Every entity's ancestors."""
    parents = {_uid(one["uid"]): [_uid(parent) for parent in one.get("parents", ())] for one in entities}
    found = {}
    for id, own in parents.items():
        seen: set[tuple[str, str]] = set()
        stack = list(own)
        while stack:
            if (one := stack.pop()) not in seen:
                seen.add(one)
                stack += parents.get(one, ())
        found[id] = frozenset(seen)
    return found


def _uid(form: Mapping[str, Any]) -> tuple[str, str]:
    inner = form.get("__entity", form)
    return inner["type"], inner["id"]


def decide(name: str, test: Mapping[str, Any], policies: str, entities: str, tally: Tally) -> None:
    """Decide the requests of one test."""
    try:
        statements = {f"policy{n}": statement for n, statement in enumerate(cedar.parse(policies))}
    except RuleError as error:
        tally.refused["a template" if "template" in str(error) else "too deep or too long"] += len(test["requests"])
        return
    above = ancestors(json.loads(entities))
    handles: dict[frozenset[str], cedar.PolicySet] = {}
    for request in test["requests"]:
        who, what, which = _uid(request["principal"]), _uid(request["action"]), _uid(request["resource"])
        if what[0] != "Action":
            tally.refused["a namespaced action"] += 1
            continue
        named = {id for _, id in (what, *above.get(what, ()))}
        chosen = {
            id: one
            for id, one in statements.items()
            if ((acts := scope.actions(one)) is None or acts & named)
            and scope.principal_scope(one).admits(who[0], who, above.get(who, frozenset()))
            and scope.resource_scope(one).admits(which[0], which, above.get(which, frozenset()))
        }
        ids = frozenset(chosen)
        if ids not in handles:
            handles[ids] = cedar.policy_set({id: json.dumps(one) for id, one in chosen.items()})
        handle, context = handles[ids], json.dumps(request["context"])
        answer = cedar.authorize(handle, Uid(*who), what[1], Uid(*which), context, entities)
        told = (answer.decision.lower(), list(answer.reasons), sorted(e.partition(":")[0] for e in answer.errors))
        wanted = (request["decision"], sorted(request["reason"]), sorted(request["errors"]))
        if told == wanted:
            tally.passed += 1
        else:
            tally.wrong.append(f"{name} {request['description']}: {told} instead of {wanted}")


def main() -> int:
    """Decide all of it; the exit code says whether all agree."""
    try:
        folder = fetch()
    except AbsentError as error:
        sys.stdout.write(f"cedar: not run, {error}\n")
        return int(os.environ.get("REQUIRE_SERVICES") == "1")
    tally = Tally()
    for case in cases(folder / ARCHIVE):
        decide(*case, tally)
    if given := os.environ.get("NOESIS_CEDAR_CASES"):
        hand = Tally()
        found = list(by_hand(Path(given)))
        for case in found:
            decide(*case, hand)
        total = hand.passed + len(hand.wrong)
        sys.stdout.write(f"by hand: {hand.passed:,} of {total:,} requests in {len(found)} files agree\n")
        tally.passed, tally.wrong, tally.refused = (
            tally.passed + hand.passed, [*tally.wrong, *hand.wrong], tally.refused + hand.refused,
        )  # fmt: skip
    for line in tally.wrong[:SHOWN]:
        sys.stdout.write(f"WRONG {line}\n")
    for why, count in sorted(tally.refused.items()):
        sys.stdout.write(f"{count:,} requests left out: {why} is nothing that the platform takes\n")
    sys.stdout.write(f"cedar: {tally.passed}/{tally.passed + len(tally.wrong)}\n")
    return 1 if tally.wrong or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
