"""Checks a proof or a dossier of Noesis offline. Needs this file, Python 3.11, the package `cryptography`, and the public key.

    python noesis_verify.py FILE --key 'NAME+ID+BASE64' [--checkpoint NOTE_FILE]... [--files FOLDER] [--json]

What is proven where the last line says OK (exit code 0; 1: something is wrong; 2: a file or the key cannot be read):

1. The checkpoint, a ledger's size and root hash, is signed by the key, or by one that it handed over to or took over from.
2. Each change shown is in that ledger: its text hashes to a leaf (SHA-256(0x00 || text)), and the path of hashes to the root
   (RFC 6962) ends in the signed root, at the position that the text itself names.
3. Each value shown is the one committed to then: SHA-256(salt || text) stands in the leaf's text. A value without its salt is
   withheld or was erased; the leaf still proves that there was one.
4. Each cause shown (who, for whom, why, from which inputs) is sealed into the leaf: SHA-256(0x02 || text of the seal).
5. Earlier checkpoints, those in the file and those of --checkpoint, are of the same ledger: it only grew since.
6. In a dossier (a DSSE envelope): the whole is signed, each quotation in its answers equals the proven value, each change that an
   answer rests on is proven, and the files beside it are the ones meant (--files).

What is not proven: that the ledger holds nothing else (`noesis verify` reads all of it), that a clock was right, or that a source
told the truth. A value that is shown with a wrong meaning is still the value that was recorded. Nothing is fetched or executed.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BUNDLE, DOSSIER = "noesis-bundle/1", "noesis-dossier/1"
PAYLOAD_TYPE = "application/vnd.noesis.dossier+json"
SUCCESSION = "noesis key succession v1"
BYTES_MAX = 256 * 1024 * 1024
PATH_MAX, LINES_MAX, KEYS_MAX = 128, 100, 1_000
QUESTIONS = 11
SIGNATURE_LINE = re.compile(r"— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})\Z")
Keys = set[tuple[str, bytes]]


class Wrong(Exception):
    """The file does not prove what it says."""


class Unreadable(Exception):
    """The file or the key is not what this program reads."""


def wrong(what: str) -> NoReturn:
    raise Wrong(what)


def load(path: Path) -> bytes:
    """The bytes of a file; of a pipe or a device nobody knows that it ends."""
    if not path.is_file() or path.stat().st_size > BYTES_MAX:
        raise Unreadable(f"{str(path)[:200]!r} is not there, is no file, or is larger than {BYTES_MAX:,} bytes")
    return path.read_bytes()


def parse(text: str) -> Any:
    """JSON without doubled names, NaN or floats, so that no two readers can read two things."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            wrong("an object names a member twice")
        return found

    def refuse(_: str) -> NoReturn:
        wrong("a number that is no whole number")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse, parse_float=refuse)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from None


def typed(value: Any, kind: type, what: str) -> Any:
    """The value itself where it is of this type."""
    if type(value) is not kind:
        wrong(f"{what} is not what the format says")
    return value


def field(form: Any, name: str, kind: type) -> Any:
    """A member of an object, of this type."""
    if name not in typed(form, dict, "an object"):
        wrong(f"{name} is missing")
    return typed(form[name], kind, name)


def unhex(text: Any, size: int, what: str) -> bytes:
    """The bytes of lower-case hexadecimal of this length."""
    if type(text) is not str or not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text):
        wrong(f"{what} is no hexadecimal of {size} bytes")
    return bytes.fromhex(text)


def unbase64(text: Any, what: str) -> bytes:
    """The bytes of base64 text, spelled in the one way."""
    try:
        found = base64.b64decode(typed(text, str, what), validate=True)
    except (binascii.Error, ValueError):
        wrong(f"{what} is no base64")
    if base64.b64encode(found).decode() != text:
        wrong(f"{what} is base64 with spare bits")
    return found


def canonical(form: Any) -> str:
    """RFC 8785 JSON (no floats here, and names in the order of their code points)."""
    return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_key(text: str) -> tuple[str, bytes]:
    """Name and Ed25519 public key of NAME+ID+BASE64; the id must fit."""
    try:
        name, id, encoded = text.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise Unreadable("the key is not NAME+ID+BASE64; ask for what `noesis checkpoint key` prints") from None
    if len(raw) != 33 or raw[0] != 1 or hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8] != id:
        raise Unreadable("the key is no Ed25519 key of that id; ask for the whole line again")
    return name, raw[1:]


def signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the Ed25519 signature over the message is by the key."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_note(note: Any, keys: Keys) -> tuple[str, Keys]:
    """The text of a signed note and which of the keys signed it; a wrong signature of a known key refuses the note."""
    control = any(ch < " " and ch != "\n" for ch in typed(note, str, "a note"))
    if control or "\n\n" not in note or not note.endswith("\n"):
        wrong("a note is malformed")
    cut = note.rindex("\n\n") + 1
    text, lines = note[:cut], note[cut + 1 :].split("\n")[:-1]
    if not 1 <= len(lines) <= LINES_MAX:
        wrong("a note has no signature, or too many")
    found: Keys = set()
    for line in lines:
        match = SIGNATURE_LINE.match(line)
        if match is None:
            wrong("a signature line of a note is malformed")
        blob = unbase64(match[2], "a signature")
        for name, key in keys:
            if match[1] == name and blob[:4] == hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]:
                if not signed(key, blob[4:], text.encode()):
                    wrong(f"a signature of {name} does not fit its note")
                found.add((name, key))
    return text, found


def read_checkpoint(note: Any, keys: Keys) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint that one of the keys signed under the origin's name."""
    text, by = read_note(note, keys)
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] != "" or "" in lines[:-1] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        wrong("a checkpoint is malformed")
    root = unbase64(lines[2], "the root")
    if len(root) != 32:
        wrong("the root of a checkpoint has the wrong length")
    if not any(name == lines[0] for name, _ in by):
        wrong(f"the checkpoint of {lines[1]} changes is not signed by the key given, nor by one that it vouches for")
    return lines[0], int(lines[1]), root


def vouched(anchor: tuple[str, bytes], notes: Any) -> Keys:
    """The key given and all that it reaches along successions, each signed by the old and by the new key."""
    pairs: list[tuple[tuple[str, bytes], tuple[str, bytes]]] = []
    for note in typed(notes, list, "successions")[:KEYS_MAX]:
        lines = typed(note, str, "a succession").split("\n")
        if len(lines) < 5 or lines[0] != SUCCESSION:
            wrong("a succession of keys is malformed")
        old, new = read_key(lines[2]), read_key(lines[3])
        if read_note(note, {old, new})[1] != {old, new}:
            wrong("a succession of keys is not signed by both keys")
        pairs.append((old, new))
    reached = {anchor}
    for _ in pairs:
        for old, new in pairs:
            if old in reached or new in reached:
                reached |= {old, new}
    return reached


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 6962)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def read_path(form: Any) -> list[bytes]:
    """The hashes of a path, which no tree makes longer than twice its height."""
    return [unhex(one, 32, "a node") for one in typed(form, list, "a path")[:PATH_MAX]]


def climb(fn: int, sn: int, start: bytes, path: list[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of the older and of the newer tree that a path from a node leads to, None where it does not fit the sizes."""
    older = newer = start
    for sibling in path:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            older, newer = node(sibling, older), node(sibling, newer)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            newer = node(newer, sibling)
        fn, sn = fn >> 1, sn >> 1
    return (older, newer) if sn == 0 else None


def extends(first: int, older: bytes, second: int, newer: bytes, path: list[bytes]) -> bool:
    """Whether the tree of `second` leaves begins with the tree of `first`."""
    if not 0 < first <= second or first == second:
        return first == second > 0 and not path and older == newer
    path = path if first & (first - 1) else [older, *path]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    return bool(path) and climb(fn, sn, path[0], path[1:]) == (older, newer)


def opened(salt_and_text: Any, commitment: Any, what: str) -> Any:
    """The JSON value of a text whose salted hash is the commitment."""
    pair = typed(salt_and_text, list, what)
    if len(pair) != 2 or type(pair[1]) is not str:
        wrong(f"{what} is no salt and text")
    if hashlib.sha256(unhex(pair[0], 16, "a salt") + pair[1].encode()).hexdigest() != commitment:
        wrong(f"{what} is not what was committed to")
    return parse(pair[1])


def read_cause(form: Any) -> dict[str, Any]:
    """A cause with its seal computed and, where shown, its content."""
    found = {name: field(form, name, kind) for name, kind in (("at", str), ("first", int), ("last", int))}
    texts = {name: field(form, name, str) for name in ("prior", "request")} | {"cause": field(form, "commitment", str)}
    found["seal"] = hashlib.sha256(b"\x02" + canonical({**found, **texts}).encode()).hexdigest()
    pair = [form.get("salt"), form.get("text")]
    found["content"] = opened(pair, texts["cause"], f"cause {form.get('number')}") if pair != [None, None] else None
    return found


def read_fact(form: Any, causes: dict[int, dict[str, Any]], size: int, root: bytes) -> dict[str, Any]:
    """A change, proven to be in the tree, with what its openings show."""
    position, text = field(form, "position", int), field(form, "leaf", str)
    leaf = parse(text)
    if canonical(leaf) != text or leaf.get("position") != position:
        wrong(f"the text of change {position} is not canonical, or of another position")
    hashed = hashlib.sha256(b"\x00" + text.encode()).digest()
    ends = climb(position - 1, size - 1, hashed, read_path(form.get("path"))) if 0 < position <= size else None
    if ends is None or ends[1] != root:
        wrong(f"change {position} is not in the signed ledger")
    cause = causes.get(field(form, "cause", int))
    if cause is None or cause["seal"] != leaf.get("cause") or cause["at"] != leaf.get("at"):
        wrong(f"change {position} was made by another cause than shown")
    if not cause["first"] <= position <= cause["last"]:
        wrong(f"change {position} lies outside its cause")
    found = {"position": position, "leaf": leaf, "cause": cause["content"], "values": {}, "closed": []}
    if form.get("rest") is not None:
        rest = opened(form["rest"], leaf.get("rest"), f"the content of change {position}")
        found["values"] |= field(rest, "properties", dict)
    elif leaf.get("rest"):
        found["closed"].append("content")
    committed = leaf.get("personal", {})
    for name, pair in field(form, "personal", dict).items():
        found["values"][name] = opened(pair, committed.get(name), f"{name} of change {position}")
    found["closed"] += sorted(committed.keys() - form["personal"].keys())
    return found


def check_bundle(form: Any, anchor: tuple[str, bytes], elsewhere: list[str]) -> dict[str, Any]:
    """Everything that a bundle proves; Wrong at the first thing that it does not."""
    if field(form, "format", str) != BUNDLE:
        raise Unreadable(f"this program reads {BUNDLE}, the file is {form['format']!r}")
    keys = vouched(anchor, form.get("successions"))
    origin, size, root = read_checkpoint(form.get("checkpoint"), keys)
    causes = {field(cause, "number", int): read_cause(cause) for cause in field(form, "causes", list)}
    facts = [read_fact(fact, causes, size, root) for fact in field(form, "facts", list)]
    shown = {fact["position"]: fact for fact in facts}
    if not facts or len(shown) != len(facts) or len(causes) != len(form["causes"]):
        wrong("no change is shown, or a change or a cause is shown twice")
    if causes.keys() != {fact["cause"] for fact in form["facts"]}:
        wrong("a cause is shown that made no change shown, so nothing proves it")
    for earlier in field(form, "earlier", list):
        name, first, older = read_checkpoint(field(earlier, "checkpoint", str), keys)
        if name != origin or not extends(first, older, size, root, read_path(earlier.get("path"))):
            wrong(f"the earlier checkpoint of {first} changes is of another ledger")
    sizes = {read_checkpoint(one["checkpoint"], keys)[1:] for one in form["earlier"]} | {(size, root)}
    for note in elsewhere:
        name, first, older = read_checkpoint(note, keys)
        if name != origin or (first, older) not in sizes:
            wrong(f"the checkpoint of {first} changes given is not one that the file is shown to continue")
    whole = sum(all(p in shown for p in range(c["first"], c["last"] + 1)) for c in causes.values())
    found = {"origin": origin, "size": size, "root": root.hex(), "facts": shown, "whole": whole}
    return {**found, "causes": len(causes)}


def check_envelope(form: Any, anchor: tuple[str, bytes]) -> Any:
    """The payload of a DSSE envelope (https://github.com/secure-systems-lab/dsse) that a vouched-for key signed."""
    kind, payload = field(form, "payloadType", str), unbase64(field(form, "payload", str), "the payload")
    if kind != PAYLOAD_TYPE:
        raise Unreadable(f"the payload is {kind!r}, not a dossier")
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    content = parse(payload.decode())
    # Which keys count is said inside; nothing else of the payload is believed before its signature is checked.
    keys = vouched(anchor, field(field(content, "bundle", dict), "successions", list))
    blobs = [unbase64(field(one, "sig", str), "a signature") for one in field(form, "signatures", list)[:LINES_MAX]]
    if any(signed(key, blob, message) for _, key in keys for blob in blobs):
        return content
    return wrong("the dossier is not signed by the key given, nor by one that it vouches for")


def check_dossier(content: Any, proven: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """That every answer rests on proven changes and quotes them rightly, and that the files are the ones meant."""
    if field(content, "format", str) != DOSSIER:
        raise Unreadable(f"this program reads {DOSSIER}, the file is {content['format']!r}")
    answers = field(field(content, "report", dict), "answers", list)
    quoted = 0
    for answer in answers:
        number = field(answer, "number", int)
        for position in field(answer, "rests", list):
            if position not in proven["facts"]:
                wrong(f"answer {number} rests on change {position}, which is not proven")
        for quote in field(answer, "quotes", list):
            position, name = field(quote, "position", int), field(quote, "name", str)
            fact = proven["facts"].get(position)
            place = (fact or {}).get("cause") if name.startswith("cause.") else (fact or {}).get("values")
            name = name.removeprefix("cause.")
            if not place or name not in place or canonical(place[name]) != canonical(quote.get("value")):
                wrong(f"answer {number} quotes {name} of change {position} otherwise than proven")
            quoted += 1
    if sorted(answer["number"] for answer in answers) != list(range(1, QUESTIONS + 1)):
        wrong(f"not all {QUESTIONS} questions are answered")
    files = field(content, "files", dict)
    for name, digest in files.items():
        outside = Path(name).name != name or "\0" in name
        if folder is not None and (outside or hashlib.sha256(load(folder / name)).hexdigest() != digest):
            wrong(f"{name!r} is not the file that was signed")
    return {"answers": len(answers), "quotes": quoted, "files": sorted(files) if folder is not None else []}


def verify(text: str, key: str, elsewhere: list[str] | None = None, folder: Path | None = None) -> dict[str, Any]:
    """What a file proves, as a document; raises Wrong or Unreadable."""
    try:
        anchor, form = read_key(key), parse(text)
        content = check_envelope(form, anchor) if "payload" in typed(form, dict, "the file") else None
        proven = check_bundle(content["bundle"] if content is not None else form, anchor, elsewhere or [])
        more = check_dossier(content, proven, folder) if content is not None else {}
    except (RecursionError, UnicodeError, OverflowError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise Wrong(f"a part is not what the format says ({type(error).__name__})") from None
    return {**proven, **more, "facts": list(proven["facts"].values())}


def main(arguments: list[str]) -> int:
    """Check a file and say so; 0, 1 or 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", required=True, help="NAME+ID+BASE64, or a file that holds it")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a checkpoint kept elsewhere")
    parser.add_argument("--files", type=Path, help="folder of the files beside a dossier")
    parser.add_argument("--json", action="store_true", help="print what was proven as JSON")
    given = parser.parse_args(arguments)
    try:
        key = given.key if "+" in given.key and "\n" not in given.key else load(Path(given.key)).decode()
        notes = [load(one).decode() for one in given.checkpoint]
        proven = verify(load(given.file).decode(), key, notes, given.files)
    except Wrong as error:
        print(ascii(f"WRONG: {error}")[1:-1])
        return 1
    except (Unreadable, OSError, UnicodeError) as error:
        print(ascii(f"cannot read: {error}")[1:-1], file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(proven, indent=1))
        return 0
    print(ascii(f"ledger {proven['origin']}: {proven['size']:,} changes, root {proven['root']}")[1:-1])
    for fact in proven["facts"]:
        leaf, names = fact["leaf"], ("at", "kind", "class", "id", "version", "relation", "target")
        shown = [str(leaf[name]) for name in names if name in leaf]
        closed = f"(closed: {', '.join(fact['closed'])})" if fact["closed"] else ""
        print(ascii(f"{fact['position']:>9} {' '.join(shown)} {closed}")[1:-1])
    print(f"{len(proven['facts']):,} changes proven; {proven['whole']} of {proven['causes']} causes shown whole")
    if "answers" in proven:
        files = ", ".join(proven["files"]) or "none"
        print(ascii(f"{proven['answers']} answers, {proven['quotes']} quotations; files checked: {files}")[1:-1])
    print("OK")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
