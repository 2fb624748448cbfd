"""DSSE envelopes: a payload of a declared type, signed so that neither can be changed or read as something else.

Invariant: what is signed is the pre-authentication encoding of type and payload, byte by byte. Format:
https://github.com/secure-systems-lab/dsse, protocol version 1.
"""

import base64
from typing import Final

from kg.signing import Signer
from kg.values import Json

DOSSIER_TYPE: Final = "application/vnd.noesis.dossier+json"


def encoded(kind: str, payload: bytes) -> bytes:
    """The bytes that are signed: ``DSSEv1 <length> <type> <length> <payload>``."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def seal(kind: str, payload: bytes, signer: Signer) -> dict[str, Json]:
    """The envelope of a payload."""
    signature = signer.sign(encoded(kind, payload))
    return {
        "payloadType": kind,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signer.public.id.hex(), "sig": base64.b64encode(signature).decode()}],
    }
