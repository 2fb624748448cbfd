"""What is installed is what is declared: the lock holds every direct dependency within its bounds, and the docs name each."""

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tree import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_LOCK = (ROOT / "requirements.lock").read_text()
_TORCH = Requirement((ROOT / "requirements-torch.txt").read_text().strip())
#: What the lock leaves out: torch and what only torch brings.
_UNLOCKED = re.compile(r"^(torch|triton|nvidia-.+|cuda-.+)$")
_SPDX = {
    "MIT License": "MIT",
    "MIT": "MIT",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD license (see license.txt for details), Copyright (c) 2000-2025, ReportLab Inc.": "BSD-3-Clause",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
}


def direct() -> list[Requirement]:
    """The direct dependencies, those of every extra included."""
    groups = [_PROJECT["dependencies"], *_PROJECT["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def pinned() -> dict[str, list[str]]:
    """Name -> versions in the lock (more than one where a marker chooses)."""
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", _LOCK, re.MULTILINE):
        pins.setdefault(canonicalize_name(name), []).append(version)
    return pins


def documented() -> dict[str, str]:
    """Name -> licence in the tables of docs/dependencies.md."""
    rows = re.findall(r"^\| ([\w.-]+) \|.*\| ([^|]+) \|$", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    return {canonicalize_name(name): licence for name, licence in rows if name != "package"}


def licence(name: str) -> str:
    """The SPDX expression that an installed package declares, by expression, field, classifier or the text of its licence."""
    distribution = importlib.metadata.distribution(name)
    metadata = distribution.metadata
    said = metadata.get("License-Expression") or metadata.get("License")
    if not said:
        said = next((c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")), "")
    if not said:
        texts = [f.read_text() for f in distribution.files or [] if f.name.startswith("LICENSE")]
        said = "Apache-2.0" if texts and "Apache License" in texts[0] else ""
    return _SPDX.get(said, said)


@pytest.mark.parametrize("requirement", direct(), ids=str)
def test_each_direct_dependency_is_locked_within_its_bounds(requirement: Requirement) -> None:
    versions = pinned().get(canonicalize_name(requirement.name), [])
    assert versions
    assert all(requirement.specifier.contains(version, prereleases=True) for version in versions)


def test_every_pin_has_a_hash() -> None:
    blocks = re.split(r"^(?=\S)", _LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) > len(direct())
    assert not [block.split(" ")[0] for block in blocks if "--hash=sha256:" not in block]


def test_the_lock_names_no_address_and_no_build_that_differs() -> None:
    assert "://" not in _LOCK
    assert not [name for name in pinned() if _UNLOCKED.match(name)]
    assert canonicalize_name(_TORCH.name) == "torch"


def test_what_is_installed_is_what_is_locked() -> None:
    pins = pinned()
    for requirement in direct():
        name = canonicalize_name(requirement.name)
        assert importlib.metadata.version(name) in pins[name], name
    assert importlib.metadata.version("torch").split("+")[0] in str(_TORCH.specifier)


def test_every_dependency_is_explained_and_nothing_else() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in direct()} | {"torch"}
    assert set(documented()) == declared


@pytest.mark.parametrize("name", sorted(set(documented()) - {"torch"}))
def test_the_licence_is_the_declared_one(name: str) -> None:
    assert documented()[name] == licence(name)
