"""Texts: the files of the platform and of a project, read whole.

Invariant: a file that cannot be read is one sentence that names it and the setting that named it. Parses nothing.
"""

from importlib import resources
from pathlib import Path

from api.errors import SettingsError
from api.settings import Settings

#: Packages whose own Turtle every graph has.
PLATFORM = ("kg.ontology", "governance", "coordination")


def platform_texts() -> dict[str, str]:
    """The Turtle of the platform itself, by name."""
    return {
        f"{package}/platform.ttl": resources.files(package).joinpath("platform.ttl").read_text(encoding="utf-8")
        for package in PLATFORM
    }


def project_texts(settings: Settings) -> dict[str, str]:
    """The project's Turtle files by name; SettingsError naming the one that cannot be read."""
    texts: dict[str, str] = {}
    for name in settings.ontology:
        texts[name] = read_text(settings.path(name), "ontology")
    return texts


def read_text(path: Path, setting: str) -> str:
    """The text of a file that a setting names."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8; save it so") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); correct `{setting}` in noesis.toml") from None
