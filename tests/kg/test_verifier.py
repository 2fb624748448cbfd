"""The single-file verifier: alone, on good bundles and on every one that was tampered with."""

import base64
import copy
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kg import checkpoints, proofs, signing
from kg.model import Cause, Link, Put, Unlink
from kg.stores.sqlite import SqliteStore
from kg.values import canonical
from tests.kg.ledgers import CHECKS, PERSONAL
from tests.parts import ManualClock
from tests.tree import ROOT
from verifier import noesis_verify
from verifier.noesis_verify import Unreadable, Wrong

FILE = ROOT / "verifier" / "noesis_verify.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, str]:
    """A bundle with everything in it, the public key to trust, and an older checkpoint."""
    clock = ManualClock()
    store = SqliteStore(tmp_path_factory.mktemp("v") / "graph.db", PERSONAL, clock, durable=False)
    for n in range(30):
        person = Put(f"p{n}", "Person", {"email": f"{n}@x", "phone": "1", "n": n}, origin=f"crm/{n}")
        store.commit(
            [person, Link(f"p{n}", "knows", "p0"), Unlink(f"p{n}", "knows", "p0")],
            Cause(f"c{n}", "test", "Service::x", "why"),
        )
    old = signing.signer("test.local/ledger", signing.make_key())
    first = checkpoints.sign(store, clock, old, "Service::x")
    new = signing.signer(old.name, signing.make_key())
    checkpoints.rotate(store, clock, old, new, "Service::x")
    last = checkpoints.sign(store, clock, new, "Service::x")
    bundle = proofs.bundle(store, store, last, [4, 5, 6, 40, 88], earlier=[first])
    store.close()
    return json.loads(canonical(bundle)), old.public.vkey, str(first["note"])


def alone(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The file in an interpreter of its own that sees nothing of ours."""
    return subprocess.run(
        [sys.executable, "-I", str(FILE), *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_good_bundle_verifies_alone(made: tuple[dict[str, Any], str, str], tmp_path: Path) -> None:
    bundle, key, note = made
    (tmp_path / "b.json").write_text(canonical(bundle))
    (tmp_path / "note").write_text(note)
    (tmp_path / "key").write_text(key)
    ran = alone("b.json", "--key", "key", "--checkpoint", "note", cwd=tmp_path)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "OK"), ran.stderr
    shown = json.loads(alone("b.json", "--key", key, "--json", cwd=tmp_path).stdout)
    assert shown["facts"][0]["values"] == {"email": "1@x", "n": 1, "phone": "1"}
    assert shown["facts"][0]["cause"]["agent"] == "Service::x"
    # Of the cause of 40 only one change is shown, so its words stay closed.
    assert shown["facts"][3]["cause"] is None


def test_it_depends_on_nothing_of_ours_and_is_short() -> None:
    text = FILE.read_text()
    assert len(text.splitlines()) <= 400
    said = subprocess.run(
        [sys.executable, "-I", "-c", f"import runpy,sys; runpy.run_path({str(FILE)!r}); print(*sys.modules)"],
        capture_output=True, text=True, check=True, cwd="/",
    ).stdout.split()  # fmt: skip
    assert not {name.split(".")[0] for name in said} & {"kg", "governance", "coordination", "agents", "api"}
    third = {n.split(".")[0] for n in said} - set(sys.stdlib_module_names) - {"__main__"}
    assert {n for n in third if not n.startswith(("_", "sitecustomize", "usercustomize"))} <= {"cryptography"}


def leaves(form: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value of a document."""
    if isinstance(form, dict):
        return [place for name, item in form.items() for place in leaves(item, (*path, name))]
    if isinstance(form, list):
        return [place for n, item in enumerate(form) for place in leaves(item, (*path, n))]
    return [path]


def put(form: Any, path: tuple[Any, ...], value: Any) -> Any:
    form = copy.deepcopy(form)
    place = form
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return form


def other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, int):
        return value + rng.choice([1, -1, 1000])
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        kind = rng.randrange(3)
        if kind == 0:
            return value[:at] + value[at + 1 :]
        if kind == 1:
            return value[:at] + value[at] * 2 + value[at + 1 :]
        return value[:at] + ("b" if value[at] != "b" else "c") + value[at + 1 :]
    return "x"


def refused(form: Any, key: str) -> bool:
    try:
        noesis_verify.verify(canonical(form), key)
    except (Wrong, Unreadable):
        return True
    return False


def test_every_changed_value_is_found(made: tuple[dict[str, Any], str, str]) -> None:
    bundle, key, _ = made
    rng = random.Random(5)
    places = leaves(bundle)
    # The keys listed are for people to read; trust never comes from them. A number is only how facts name their cause.
    free = [p for p in places if p[0] == "keys" or p[-1] == "format"]
    missed = []
    for place in places:
        if place in free:
            continue
        value: Any = bundle
        for step in place:
            value = value[step]
        for _ in range(6):
            if not refused(put(bundle, place, other(value, rng)), key):
                missed.append(place)
    assert not missed
    assert len(places) > 100


def test_every_removed_part_is_found_or_only_hides(made: tuple[dict[str, Any], str, str]) -> None:
    bundle, key, _ = made
    for name in ("checkpoint", "successions", "causes", "facts", "earlier", "format"):
        assert refused({k: v for k, v in bundle.items() if k != name}, key), name
    for name in ("position", "cause", "leaf", "path", "personal"):
        broken = copy.deepcopy(bundle)
        del broken["facts"][0][name]
        assert refused(broken, key), name
    hidden = copy.deepcopy(bundle)
    del hidden["facts"][0]["personal"]["email"]
    assert noesis_verify.verify(canonical(hidden), key)["facts"][0]["closed"] == ["email"]


def test_every_flipped_byte_of_the_text_is_found_or_is_a_listed_key(made: tuple[dict[str, Any], str, str]) -> None:
    bundle, key, _ = made
    text = canonical(bundle)
    listed = range(text.index('"keys":['), text.index("]", text.index('"keys":[')))
    rng = random.Random(9)
    good = noesis_verify.verify(text, key)
    for at in rng.sample([n for n in range(len(text)) if n not in listed], 1_500):
        flipped = text[:at] + chr(ord(text[at]) ^ rng.choice([1, 2, 4, 8, 16])) + text[at + 1 :]
        try:
            found = noesis_verify.verify(flipped, key)
        except (Wrong, Unreadable):
            continue
        # A member under a wrong name is a member withheld: what is still shown must be what was.
        for before, after in zip(good["facts"], found["facts"], strict=True):
            assert after["values"].items() <= before["values"].items(), text[at - 20 : at + 20]
            assert after["leaf"] == before["leaf"]
            assert after["cause"] in (before["cause"], None)


def test_another_key_another_ledger_and_another_checkpoint(made: tuple[dict[str, Any], str, str]) -> None:
    bundle, key, note = made
    text = canonical(bundle)
    stranger = signing.signer("test.local/ledger", signing.make_key())
    with pytest.raises(Wrong, match="not signed by the key"):
        noesis_verify.verify(text, stranger.public.vkey)
    with pytest.raises(Unreadable):
        noesis_verify.verify(text, key[:-2])
    tree = checkpoints.Tree("test.local/ledger", 7, bytes(32))
    forged = signing.write_note(checkpoints.body(tree), (stranger,))
    with pytest.raises(Wrong, match="not signed"):
        noesis_verify.verify(text, key, [forged])
    shown = {**bundle, "earlier": []}
    with pytest.raises(Wrong, match="not one that the file is shown to continue"):
        noesis_verify.verify(canonical(shown), key, [note])


@pytest.mark.parametrize("text", CHECKS)
def test_hostile_files_are_refused_in_one_line(
    text: str, made: tuple[dict[str, Any], str, str], tmp_path: Path
) -> None:
    _, key, _ = made
    with pytest.raises((Wrong, Unreadable)):
        noesis_verify.verify(text, key)
    (tmp_path / "b.json").write_text(text)
    ran = alone("b.json", "--key", key, cwd=tmp_path)
    assert ran.returncode in (1, 2)
    assert "Traceback" not in ran.stderr + ran.stdout
    assert len((ran.stdout + ran.stderr).splitlines()) == 1


@pytest.mark.parametrize("what", ["a pipe", "a device", "a folder", "nothing", "a page"])
@pytest.mark.parametrize("where", ["file", "key", "checkpoint"])
def test_what_is_no_file_is_refused_and_never_waited_for(
    made: tuple[dict[str, Any], str, str], tmp_path: Path, what: str, where: str
) -> None:
    bundle, key, note = made
    for name, text in (("file", canonical(bundle)), ("key", key), ("checkpoint", note)):
        (tmp_path / name).write_text(text)
    (tmp_path / where).unlink()
    if what == "a pipe":
        os.mkfifo(tmp_path / where)
    elif what == "a device":
        (tmp_path / where).symlink_to("/dev/zero")
    elif what == "a folder":
        (tmp_path / where).mkdir()
    elif what == "a page":
        (tmp_path / where).write_bytes(b"\xff\xfe<html>")
    ran = alone("file", "--key", "key", "--checkpoint", "checkpoint", cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert ran.stderr.startswith("cannot read: ")


def test_a_cause_that_made_nothing_that_is_shown_is_refused(made: tuple[dict[str, Any], str, str]) -> None:
    bundle, key, _ = made
    salt, words = "00" * 16, canonical({"agent": "Service::forger", "reason": "as we always said"})
    commitment = hashlib.sha256(bytes.fromhex(salt) + words.encode()).hexdigest()
    invented = {
        **bundle["causes"][0], "number": 99, "first": 5, "last": 4, "salt": salt, "text": words, "commitment": commitment,
    }  # fmt: skip
    with pytest.raises(Wrong, match="a cause is shown that made no change shown"):
        noesis_verify.verify(canonical({**bundle, "causes": [*bundle["causes"], invented]}), key)


def test_no_name_in_a_file_forges_what_is_printed(made: tuple[dict[str, Any], str, str], tmp_path: Path) -> None:
    bundle, key, _ = made
    forged = copy.deepcopy(bundle)
    forged["facts"][0]["personal"]["a\nOK\x1b[8m"] = ["00" * 16, '"x"']
    (tmp_path / "b.json").write_text(canonical(forged))
    ran = alone("b.json", "--key", key, cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout == "WRONG: a\\nOK\\x1b[8m of change 4 is not what was committed to\n"


def test_what_is_proven_is_told_on_any_console(tmp_path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(tmp_path / "graph.db", PERSONAL, clock, durable=False)
    store.commit(
        [Put("p", "Person", {"email": "李雷@x", "phone": "1", "n": 1})], Cause("c", "test", "Service::x", "为什么")
    )
    signer = signing.signer("test.local/ledger", signing.make_key())
    bundle = proofs.bundle(store, store, checkpoints.sign(store, clock, signer, "Service::x"), [1])
    store.close()
    (tmp_path / "b.json").write_text(canonical(bundle), encoding="utf-8")
    # Without UTF-8 mode, and with an encoding that knows none of these letters.
    ran = subprocess.run(
        [sys.executable, str(FILE), "b.json", "--key", signer.public.vkey, "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONIOENCODING": "ascii", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["facts"][0]["values"]["email"] == "李雷@x"


def test_strangers_successions_are_bounded(
    made: tuple[dict[str, Any], str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, key, _ = made
    monkeypatch.setattr(noesis_verify, "KEYS_MAX", 3)
    asked = []
    monkeypatch.setattr(noesis_verify, "read_note", lambda note, keys: (asked.append(note), ("", keys))[1])
    noesis_verify.vouched(noesis_verify.read_key(key), bundle["successions"] * 100)
    assert len(asked) == 3


def test_a_dossier_is_bound_to_its_signature_answers_and_files(
    made: tuple[dict[str, Any], str, str], tmp_path: Path
) -> None:
    bundle, key, _ = made
    signer = signing.signer("test.local/ledger", signing.make_key())
    with pytest.raises(Wrong, match="not signed"):
        noesis_verify.verify(canonical(sealed({"bundle": bundle, "format": "noesis-dossier/1"}, signer)), key)


def test_a_dossier_quotes_no_value_that_is_closed_and_names_no_file_that_cannot_be(tmp_path: Path) -> None:
    proven = {"facts": {1: {"values": {"n": 1}, "cause": None}}}

    def checked(quote: dict[str, Any] | None, file: str) -> dict[str, Any]:
        answers = [
            {"number": n, "rests": [1], "quotes": [{"position": 1, **quote}] if quote is not None else []}
            for n in range(1, noesis_verify.QUESTIONS + 1)
        ]
        content = {"format": noesis_verify.DOSSIER, "report": {"answers": answers}, "files": {file: digest}}
        return noesis_verify.check_dossier(content, proven, tmp_path)

    (tmp_path / "page").write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    assert checked({"name": "n", "value": 1}, "page")["files"] == ["page"]
    with pytest.raises(Wrong, match="quotes email of change 1 otherwise than proven"):
        checked({"name": "email", "value": None}, "page")
    for name in ("pa\0ge", "../page", "/etc/passwd"):
        with pytest.raises(Wrong, match="is not the file that was signed"):
            checked(None, name)


def sealed(content: Any, signer: signing.Signer) -> dict[str, Any]:
    payload = canonical(content).encode()
    kind = noesis_verify.PAYLOAD_TYPE
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    return {
        "payloadType": kind,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": "", "sig": base64.b64encode(signer.sign(message)).decode()}],
    }
