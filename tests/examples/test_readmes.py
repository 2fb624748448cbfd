"""What the page of an example shows, runs: its commands in a temporary home, with the lines below them in their output."""

from pathlib import Path

import pytest

from tests.test_docs import OFFICES, run


@pytest.mark.parametrize("path", OFFICES, ids=str)
def test_what_the_page_of_an_example_shows_runs(path: Path, tmp_path: Path) -> None:
    run(path, tmp_path)
