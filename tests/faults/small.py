"""A file system of a few MiB of its own, for what happens when it is full."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small(mebibytes: int) -> Iterator[Path]:
    """Mount it for a block; where nothing can be mounted this is a skip that says so."""
    folder = Path(tempfile.mkdtemp(prefix="noesis-full-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        folder.rmdir()
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()
