"""A skip is visible at a desk and a failure where every service is required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import ROOT

_SKIPS = """
import pytest
def test_without_its_server(): pytest.skip("no server here")
@pytest.mark.skipif(True, reason="no data here")
def test_without_its_data(): pass
def test_that_runs(): pass
"""


@pytest.mark.parametrize(("required", "code"), [("0", 0), ("1", 1)], ids=["desk", "required"])
def test_a_skip_fails_where_services_are_required(tmp_path: Path, required: str, code: int) -> None:
    (tmp_path / "test_skips.py").write_text(_SKIPS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-p", "tests.conftest", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "REQUIRE_SERVICES": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stdout
    assert "no server here" in ran.stdout
    assert "no data here" in ran.stdout
    assert "1 passed" in ran.stdout
