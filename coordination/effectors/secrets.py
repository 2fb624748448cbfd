"""Secrets as effectors hold them: a value, and the hosts that may hear it.

Invariant: a payload names a secret and never chooses who hears it; a value shows in no text of ours. Reads no setting.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from coordination.effectors.http_call import Target
from coordination.errors import GiveUp
from kg.values import Json


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret value and the hosts, with or without port, that may hear it."""

    value: str
    hosts: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return "Secret(…)"


def secret_of(name: str, target: Target, secrets: Mapping[str, Secret]) -> str:
    """The value of a secret; GiveUp where there is none or the host may not hear it."""
    secret = secrets.get(name)
    if secret is None:
        raise GiveUp(f"there is no secret {name[:80]!r}; set it, or correct the payload")
    # A payload comes from an agent: it may name a secret, but not choose who hears it.
    if not {target.host, f"{target.host}:{target.port}"} & secret.hosts:
        raise GiveUp(f"secret {name!r} is not for {target.host}; list the host with the secret if that is meant")
    return secret.value


def reveal(value: Mapping[str, Json], target: Target, secrets: Mapping[str, Secret]) -> str:
    """The value of ``{"secret": NAME, "prefix": …, "at": [KEY …]}``; `at` leads into a secret that is a JSON object."""
    name = str(value.get("secret", ""))
    found: Json = secret_of(name, target, secrets)
    for part in value.get("at") or ():
        found = fields(str(found), name).get(str(part)) if isinstance(found, str) else dict(found or {}).get(str(part))
    if not isinstance(found, str):
        raise GiveUp(f"secret {name!r} holds no text there; correct the secret or the payload")
    return f"{value.get('prefix', '')}{found}"


def fields(text: str, name: str) -> dict[str, Json]:
    """The members of a secret that is a JSON object; GiveUp where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise GiveUp(f"secret {name!r} is no JSON object; give it with the members that the authentication needs")
    return found
