"""What the manifests are checked with: kustomize, which is on the path or built once from its Go module, and KEDA's schemas."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.services.server import cache

MODULE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
#: The module that holds the schemas of KEDA's resources.
KEDA = "github.com/kedacore/keda/v2@v2.17.2"
BUILD_SECONDS_MAX = 600


def binary() -> Path:
    """The program; a visible skip where it is not here and not required, built where it is."""
    found = shutil.which("kustomize")
    built = cache() / "kustomize"
    if found is not None:
        return Path(found)
    if not built.exists():
        if os.environ.get("REQUIRE_SERVICES") != "1":
            pytest.skip("kustomize is not here; install it, or set REQUIRE_SERVICES=1 to have it built")
        subprocess.run(
            ["go", "install", MODULE],
            check=True,
            env={**os.environ, "GOBIN": str(built.parent), "GOFLAGS": ""},
            timeout=BUILD_SECONDS_MAX,
        )
    return built


def render(folder: Path) -> str:
    """The manifests of a folder as kustomize makes them."""
    made = subprocess.run([binary(), "build", str(folder)], check=True, capture_output=True, text=True)
    return made.stdout


def keda_schemas() -> dict[str, Any]:
    """KEDA's own schema of each of its resources, by kind, from its Go module; a visible skip where there is no Go."""
    if shutil.which("go") is None and os.environ.get("REQUIRE_SERVICES") != "1":
        pytest.skip("Go is not here, which brings KEDA's schemas")
    fetched = subprocess.run(
        ["go", "mod", "download", "-json", KEDA],
        check=True,
        capture_output=True,
        cwd=cache(),
        timeout=BUILD_SECONDS_MAX,
    )
    found: dict[str, Any] = {}
    for path in (Path(json.loads(fetched.stdout)["Dir"]) / "config" / "crd" / "bases").glob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        found[spec["names"]["kind"]] = spec["versions"][0]["schema"]["openAPIV3Schema"]
    return found
