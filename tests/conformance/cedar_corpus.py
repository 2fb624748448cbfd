"""Decides the public Cedar test corpus through our evaluator: parsed, sliced by scope and asked as the platform does it.

The corpus is the one that the Go module of Cedar carries (Apache-2.0), of one version and checksum, fetched by `go` into its own
cache and never copied here. Without `go` the suite says so, and fails where REQUIRE_SERVICES=1. The last line printed is
`cedar: passed/total`; what the platform refuses to take (a template, a second type of action, too deep, a request without principal
or resource) is counted apart. The platform's actions have one type; where those of a test have one of another name, it is renamed.
`--cases FOLDER` decides the hand-written cases of a checkout of cedar-policy/cedar-integration-tests too.
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
from tests.conformance import cedar_by_hand

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


def folded(forms: list[Any], kind: str) -> list[Any] | None:
    """The same forms with the one type of actions called `Action`; None where that name is taken already."""
    text = json.dumps(forms)
    return None if '"Action"' in text else json.loads(text.replace(json.dumps(kind), '"Action"'))


def decide(name: str, test: Mapping[str, Any], policies: str, entities: str, tally: Tally) -> None:
    """Decide the requests of one test."""
    try:
        statements = {f"policy{n}": statement for n, statement in enumerate(cedar.parse(policies))}
    except RuleError as error:
        tally.refused["a template" if "template" in str(error) else "too deep or too long"] += len(test["requests"])
        return
    kinds = {_uid(request["action"])[0] for request in test["requests"]} - {"Action"}
    if len(kinds) == 1 and (found := folded([statements, json.loads(entities), test["requests"]], *kinds)) is not None:
        statements, given, requests = found
        entities, test = json.dumps(given), {"requests": requests}
    above = ancestors(json.loads(entities))
    handles: dict[frozenset[str], cedar.PolicySet] = {}
    for request in test["requests"]:
        if not (request["principal"] and request["resource"]):
            # Cedar 4 has done away with them too.
            tally.refused["a request without a principal or a resource"] += 1
            continue
        who, what, which = _uid(request["principal"]), _uid(request["action"]), _uid(request["resource"])
        if what[0] != "Action":
            tally.refused["a second type of action"] += 1
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


def by_hand(cases: list[cedar_by_hand.Case], tally: Tally) -> list[str]:
    """Decide hand-written cases and validate their policies; returns what to say of them, a line each."""
    files, wrong = 0, 0
    for case in cases:
        before = len(tally.wrong)
        decide(case.name, {"requests": case.requests}, case.policies, case.entities, tally)
        if case.schema is not None and (said := _validated(case)) is not None:
            tally.wrong.append(said)
            wrong += 1
        files += len(tally.wrong) == before
    asked, left = sum(len(case.requests) for case in cases), tally.refused.total()
    return [
        f"by hand: {tally.passed:,} of {asked:,} requests agree, {left:,} left out, "
        f"{len(tally.wrong) - wrong:,} disagree; {files:,} of {len(cases):,} files agree in all"
    ]


def _validated(case: cedar_by_hand.Case) -> str | None:
    """What is wrong where our strict validation does not say of a case's policies what the case says; None where it does."""
    assert case.schema is not None
    try:
        found = [error for one in cedar.parse(case.policies) for error in cedar.validate(one, case.schema)]
    except RuleError as error:
        found = [str(error)]
    if bool(found) == (not case.valid):
        return None
    return (
        f"{case.name}: validation says {found or 'all is well'}, the case says {'valid' if case.valid else 'invalid'}"
    )


def generated(tally: Tally) -> bool:
    """Decide the corpus; whether it was there, else why it was not is printed."""
    try:
        folder = fetch()
    except AbsentError as error:
        sys.stdout.write(f"cedar: the corpus was not run, {error}\n")
        return False
    for case in cases(folder / ARCHIVE):
        decide(*case, tally)
    return True


def main(folder: Path | None = None) -> int:
    """Decide the corpus, and the hand-written cases of a folder; the exit code is 2 where the folder is none."""
    hand, tally = Tally(), Tally()
    if folder is not None:
        try:
            found = cedar_by_hand.read(folder)
        except cedar_by_hand.CasesError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        for line in by_hand(found, hand):
            sys.stdout.write(line + "\n")
    there = generated(tally)
    tally.passed, tally.wrong, tally.refused = (
        tally.passed + hand.passed, [*tally.wrong, *hand.wrong], tally.refused + hand.refused,
    )  # fmt: skip
    for line in tally.wrong[:SHOWN]:
        sys.stdout.write(f"WRONG {line}\n")
    for why, count in sorted(tally.refused.items()):
        sys.stdout.write(f"{count:,} requests left out: {why} is nothing that the platform takes\n")
    if there or folder is not None:
        sys.stdout.write(f"cedar: {tally.passed}/{tally.passed + len(tally.wrong)}\n")
    if not there and (folder is None or os.environ.get("REQUIRE_SERVICES") == "1"):
        return int(os.environ.get("REQUIRE_SERVICES") == "1")
    return 1 if tally.wrong or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
