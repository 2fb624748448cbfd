"""Ed25519 keys and signed notes: the C2SP formats signed-note (type 0x01) and tlog-cosignature (type 0x04).

Invariant: a note is accepted only where its bytes, every signature line and the signing key are exactly what the formats say;
an unknown key's line is skipped, a known key's wrong signature refuses the whole note. It knows nothing of ledgers. Formats:
https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature.
"""

import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kg.errors import KeyFileError, NoteError

#: Signature types of the C2SP registry.
ED25519: Final = 1
COSIGNATURE: Final = 4
#: Bytes and signature lines of a note.
NOTE_MAX: Final = 1_000_000
LINES_MAX: Final = 100
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}\Z")
_LINE = re.compile(r"— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})\Z")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A named Ed25519 public key; `kind` says which signatures it makes (ED25519 or COSIGNATURE)."""

    name: str
    raw: bytes
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        """The four bytes that a signature line carries: SHA-256(name || LF || type || key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.raw).digest()[:4]

    @property
    def vkey(self) -> str:
        """The verifier key as text: ``name+id+base64(type || key)``."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.raw).decode()}"

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature over these bytes is by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def cosigning(self) -> "PublicKey":
        """The same key as a witness uses it."""
        return PublicKey(self.name, self.raw, COSIGNATURE)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name; the secret shows up in no text of it."""

    name: str
    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return PublicKey(self.name, raw)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was read: its text, and who of the known keys signed it. `times` holds when witnesses did (seconds)."""

    text: str
    signed: tuple[PublicKey, ...]
    times: dict[str, int] = field(default_factory=dict)


def key_name(name: str) -> str:
    """The name itself where a note may carry it; NoteError else."""
    if not _NAME.match(name):
        raise NoteError(f"{name[:40]!r} is no key name; use 1 to 200 characters without spaces and plus signs")
    return name


def read_vkey(text: str) -> PublicKey:
    """The key of a verifier-key text; NoteError where it is none."""
    parts = text.strip().split("+", 2)
    try:
        name, id, encoded = parts
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise NoteError(
            f"{text.strip()[:40]!r} is no public key; give name+id+base64 as `noesis checkpoint key` shows"
        ) from None
    if len(raw) != 33 or raw[0] not in {ED25519, COSIGNATURE}:
        raise NoteError("the public key is no Ed25519 key; give the one that `noesis checkpoint key` shows")
    key = PublicKey(key_name(name), raw[1:], raw[0])
    if key.id.hex() != id:
        raise NoteError("the public key and its id do not belong together; copy the whole line again")
    return key


def make_key() -> str:
    """A new private key as PEM."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def signer(name: str, pem: str) -> Signer:
    """The signer of a PEM text; KeyFileError where it holds no Ed25519 private key."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnicodeEncodeError, UnsupportedAlgorithm):
        raise KeyFileError from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError
    return Signer(key_name(name), key)


def key_file(path: Path) -> str:
    """The PEM of a key file, made (0600) where there is none; KeyFileError where others may read it or it cannot be used."""
    if os.path.lexists(path):
        return read_key_file(path)
    try:
        handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(make_key())
                file.flush()
                os.fsync(file.fileno())
            # The name appears with the whole key behind it, and of several that make one at once the first keeps it.
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            os.unlink(draft)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written ({error.strerror}); check the folder") from None
    return read_key_file(path)


def read_key_file(path: Path) -> str:
    """The PEM of a key file that is there."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise KeyFileError(f"{path} holds no PEM text; give an Ed25519 private key") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read ({error.strerror}); check it") from None
    if mode & 0o077:
        raise KeyFileError(f"{path} may be read by others; run chmod 600 on it, and rotate the key if others did")
    return text


def unbase64(text: str) -> bytes:
    """The bytes of base64 text; NoteError where it is none, or spelled with spare bits that another spelling lacks."""
    try:
        found = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise NoteError from None
    if base64.b64encode(found).decode() != text:
        raise NoteError
    return found


def write_note(text: str, signers: Sequence[Signer]) -> str:
    """The signed note of a text, which must end with a newline."""
    lines = [_line(one.public, one.sign(text.encode())) for one in signers]
    return f"{text}\n{''.join(lines)}"


def cosign(note: str, witness: Signer, seconds: int) -> str:
    """The note with one more line: the witness saw this checkpoint at this time."""
    text = note[: note.rindex("\n\n") + 1]
    message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    return note + _line(witness.public.cosigning(), seconds.to_bytes(8, "big") + witness.sign(message))


def _line(key: PublicKey, signature: bytes) -> str:
    return f"— {key.name} {base64.b64encode(key.id + signature).decode()}\n"


def read_note(note: str, known: Sequence[PublicKey]) -> Note:
    """The text of a note and the known keys that signed it; NoteError where it is malformed or a known key did not sign it."""
    if len(note) > NOTE_MAX or "\n\n" not in note or not note.endswith("\n"):
        raise NoteError
    cut = note.rindex("\n\n") + 1
    text, lines = note[:cut], note[cut + 1 :].split("\n")[:-1]
    if not lines or len(lines) > LINES_MAX or any(ord(ch) < 0x20 and ch != "\n" for ch in note):
        raise NoteError
    keys = {(key.name, key.id): key for key in known}
    found: list[PublicKey] = []
    times: dict[str, int] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            raise NoteError
        blob = unbase64(match[2])
        key = keys.get((match[1], blob[:4]))
        if key is None or key in found:
            continue
        message, signature = text.encode(), blob[4:]
        if key.kind == COSIGNATURE:
            seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = f"cosignature/v1\ntime {seconds}\n".encode() + message
            times[key.name] = seconds
        if not key.signed(signature, message):
            raise NoteError(f"the signature of {key.name} does not fit the note; somebody altered one of them")
        found.append(key)
    return Note(text, tuple(found), times)
