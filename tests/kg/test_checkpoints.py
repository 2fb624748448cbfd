"""I13 against whoever owns the database: a ledger that was cut, forked or rewritten whole contradicts what was signed before."""

import base64
import os
import shutil
from pathlib import Path

import pytest

from kg import checkpoints, ledger, proofs, signing
from kg.errors import CheckpointError, InputError, KeyFileError, NoteError
from kg.model import Cause, Put
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema, ManualClock

NAME = "test.local/ledger"
#: A note and key of our own making, fixed, so that a change of format is seen.
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""


def store_of(path: Path, clock: ManualClock) -> SqliteStore:
    return SqliteStore(path, FreeSchema(), clock, durable=False)


def fill(store: SqliteStore, first: int, last: int, word: str = "a") -> None:
    for n in range(first, last):
        store.commit([Put(f"e{n}", "Thing", {"n": n, "word": word})], Cause(f"{word}{n}", "test", "Service::x"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def key() -> signing.Signer:
    return signing.signer(NAME, signing.make_key())


def test_the_note_is_the_published_format(tmp_path: Path, clock: ManualClock) -> None:
    fixed = signing.signer(NAME, PEM)
    store = store_of(tmp_path / "graph.db", clock)
    fill(store, 0, 5)
    made = checkpoints.sign(store, clock, fixed, "Service::x")
    text, line = str(made["note"]).split("\n\n")
    origin, size, root = text.split("\n")
    assert (origin, size) == (NAME, "6")
    leaves = [leaf for _, leaf in store.ledger()][:6]
    assert base64.b64decode(root) == ledger.root(leaves)
    dash, name, blob = line.rstrip("\n").split(" ")
    assert (dash, name) == ("—", NAME)
    raw = base64.b64decode(blob)
    assert raw[:4] == fixed.public.id
    assert fixed.public.signed(raw[4:], (text + "\n").encode())
    assert fixed.public.vkey.startswith(f"{NAME}+{fixed.public.id.hex()}+")
    assert signing.read_vkey(fixed.public.vkey) == fixed.public
    store.close()


def test_a_ledger_cut_back_forked_or_rewritten_whole_is_found(
    tmp_path: Path, clock: ManualClock, key: signing.Signer
) -> None:
    path = tmp_path / "graph.db"
    store = store_of(path, clock)
    fill(store, 0, 10)
    store.close()
    shutil.copy(path, tmp_path / "earlier.db")
    store = store_of(path, clock)
    fill(store, 10, 20)
    kept = str(checkpoints.sign(store, clock, key, "Service::x")["note"])
    assert checkpoints.verify_all(store, store, key.public, [kept]) == 2
    store.close()
    for name, word, last, said in (
        ("cut", "a", 12, "cut back"),
        ("forked", "b", 40, "rewritten"),
        ("longer", "a", 40, "rewritten"),
    ):
        other = tmp_path / f"{name}.db"
        shutil.copy(tmp_path / "earlier.db", other)
        rewritten = store_of(other, ManualClock(seed=11))
        fill(rewritten, 10, last, word)
        assert rewritten.verify() == rewritten.head().position, "in itself it is whole"
        with pytest.raises(CheckpointError, match=said):
            checkpoints.compare(rewritten, rewritten, kept, [key.public])
        rewritten.close()


def test_a_database_with_another_key_and_its_own_checkpoints_is_found(
    tmp_path: Path, clock: ManualClock, key: signing.Signer
) -> None:
    store = store_of(tmp_path / "graph.db", clock)
    fill(store, 0, 10)
    forger = signing.signer(NAME, signing.make_key())
    checkpoints.sign(store, clock, forger, "Service::x")
    assert checkpoints.verify_all(store, store) == 1
    with pytest.raises(CheckpointError, match="not vouched for"):
        checkpoints.verify_all(store, store, key.public)
    with pytest.raises(KeyFileError, match="not the one that signs"):
        checkpoints.sign(store, clock, key, "Service::x")
    store.close()


def test_keys_hand_over_and_trust_follows_both_ways(tmp_path: Path, clock: ManualClock, key: signing.Signer) -> None:
    store = store_of(tmp_path / "graph.db", clock)
    fill(store, 0, 4)
    checkpoints.sign(store, clock, key, "Service::x")
    second, third = (signing.signer(NAME, signing.make_key()) for _ in range(2))
    clock.advance(60)
    checkpoints.rotate(store, clock, key, second, "Service::x")
    clock.advance(60)
    checkpoints.rotate(store, clock, second, third, "Service::x")
    checkpoints.sign(store, clock, third, "Service::x")
    for anchor in (key, second, third):
        assert checkpoints.verify_all(store, store, anchor.public) == 2
    entities = [entity for entity, _ in checkpoints.keys(store)]
    assert [e.valid_to for e in entities[:2]] == [e.valid_from for e in entities[1:]]
    assert entities[2].valid_to is None
    with pytest.raises(KeyFileError):
        checkpoints.sign(store, clock, key, "Service::x")
    forged = str(entities[1]["succession"]).replace(second.public.vkey, key.public.vkey)
    with pytest.raises(NoteError):
        checkpoints.succession(forged)
    store.close()


def test_a_witness_co_signs_with_its_time(tmp_path: Path, clock: ManualClock, key: signing.Signer) -> None:
    store = store_of(tmp_path / "graph.db", clock)
    fill(store, 0, 3)
    witness = signing.signer("witness", signing.make_key())
    note = str(checkpoints.sign(store, clock, key, "Service::x", witness)["note"])
    read = signing.read_note(note, [key.public, witness.public.cosigning()])
    assert {one.name for one in read.signed} == {NAME, "witness"}
    assert read.times == {"witness": int(clock.now().timestamp())}
    later = note.replace(note.split("— witness ")[1][:8], "AAAAAAAA")
    assert {one.name for one in signing.read_note(later, [key.public, witness.public.cosigning()]).signed} == {NAME}
    store.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 31, 64])
def test_proofs_from_the_store_hold_at_every_size(tmp_path: Path, clock: ManualClock, size: int) -> None:
    store = store_of(tmp_path / "graph.db", clock)
    fill(store, 0, 64)
    leaves = [leaf for _, leaf in store.ledger()]
    root = checkpoints.root_at(store, size)
    assert root == ledger.root(leaves[:size])
    for index in {0, size // 2, size - 1}:
        assert ledger.includes(leaves[index], index, size, proofs.inclusion(store, index, size), root)
    assert ledger.extends(size, root, 64, checkpoints.root_at(store, 64), proofs.consistency(store, size, 64))
    store.close()


def test_every_flipped_bit_of_a_note_is_refused(tmp_path: Path, clock: ManualClock, key: signing.Signer) -> None:
    store = store_of(tmp_path / "graph.db", clock)
    fill(store, 0, 3)
    note = str(checkpoints.sign(store, clock, key, "Service::x")["note"])
    for at in range(len(note)):
        for bit in (1, 4, 16):
            flipped = note[:at] + chr(ord(note[at]) ^ bit) + note[at + 1 :]
            with pytest.raises((NoteError, CheckpointError)):
                checkpoints.compare(store, store, flipped, [key.public])
    store.close()


def test_a_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.key"
    pem = signing.key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert signing.key_file(path) == pem
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        signing.key_file(path)
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(KeyFileError):
        signing.signer(NAME, signing.key_file(path))
    os.symlink(tmp_path / "elsewhere", tmp_path / "link")
    with pytest.raises(KeyFileError):
        signing.key_file(tmp_path / "link")
    assert "PRIVATE" not in repr(signing.signer(NAME, pem))


def test_of_those_who_make_a_key_file_at_once_all_get_the_same_whole_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, make, others = tmp_path / "checkpoint.key", signing.make_key, []

    def slowly() -> str:
        monkeypatch.setattr(signing, "make_key", make)
        others.append(signing.key_file(path))
        return make()

    monkeypatch.setattr(signing, "make_key", slowly)
    assert [signing.key_file(path)] == others == [path.read_text()]
    assert signing.signer(NAME, others[0])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "x", "a+b", "a b+00000000+AA==", "a+00000000+" + "A" * 44, "a+zz+!!"])
def test_a_public_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        signing.read_vkey(text)


def test_a_file_of_several_notes_is_split(tmp_path: Path, clock: ManualClock, key: signing.Signer) -> None:
    store = store_of(tmp_path / "graph.db", clock)
    notes = []
    for n in range(3):
        fill(store, n, n + 1)
        notes.append(str(checkpoints.sign(store, clock, key, "Service::x")["note"]))
    assert checkpoints.split("".join(notes)) == notes
    with pytest.raises(InputError):
        checkpoints.split("")
    store.close()
