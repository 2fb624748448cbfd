"""PostgreSQL as a source: a server of its own in a temporary folder, where PostgreSQL is installed; else a visible skip."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kg.errors import SourceError
from tests.kg.ingest.parts import Desk
from tests.services import ports

MAPPING = """
source: erp
time_zone: Europe/Berlin
tables:
  - from: sales.orders
    class: Order
    key: { orderNo: "no" }
    properties: { pieces: pieces, weight: weight, orderedAt: at }
    cursor: changed
"""
ROWS = """
CREATE SCHEMA sales;
CREATE TABLE sales.orders (no text PRIMARY KEY, pieces int, weight numeric(12,6), at timestamp, changed timestamptz);
INSERT INTO sales.orders SELECT 'SO-' || g, g, 1.25, '2026-03-01 10:00', '2026-01-01Z'::timestamptz + g * interval '1 second'
  FROM generate_series(1, 2500) g;
INSERT INTO sales.orders VALUES ('SO-X', 1, 1.234567, NULL, '2026-02-01Z');
"""


def _programs() -> Path | None:
    found = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        Path(shutil.which("initdb") or "x").parent,
    ]
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    # The server refuses to run as root.
    as_user: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp())
    if as_user:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    port = ports.free()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [str(programs / "pg_ctl"), "-D", str(folder / "data"), "-l", str(folder / "log")]
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": folder, **as_user}
    try:
        subprocess.run(
            [str(programs / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "anna"], check=True, **silent
        )
        subprocess.run([*control, "-o", options, "-w", "start"], check=True, **silent)
        try:
            import psycopg

            with psycopg.connect(
                f"host=127.0.0.1 port={port} user=anna dbname=postgres", autocommit=True
            ) as connection:
                connection.execute(ROWS)
            yield f"postgresql://anna:swordfish@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "-w", "stop"], check=True, **silent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_tables_of_a_schema_with_exact_types_and_a_cursor(desk: Desk, server: str) -> None:
    first = desk.run(MAPPING, server)
    assert (first.created, first.rejected) == (2_500, 1)
    assert "more than 4 decimal places" in desk.rejects()[0]["reason"]
    (page, *_) = desk.store.find("Order", first=1).items
    assert (page["weight"], page["orderedAt"]) == (Decimal("1.25"), datetime(2026, 3, 1, 9, 0, tzinfo=UTC))
    again = desk.run(MAPPING, server)
    assert (again.created, again.updated) == (0, 0)
    assert again.records < 5
    cause = desk.store.causes([desk.store.changes(0, 1)[0].cause])
    assert "swordfish" not in str(cause)
    assert "anna" not in str(cause)


def test_what_is_not_there(desk: Desk, server: str) -> None:
    with pytest.raises(SourceError, match="does not exist") as caught:
        desk.run(MAPPING, server + "x")
    assert "swordfish" not in str(caught.value)
    with pytest.raises(SourceError, match=r"no table 'sales\.nope'"):
        desk.run(MAPPING.replace("sales.orders", "sales.nope"), server)
    query = '    query: "DELETE FROM sales.orders RETURNING no, pieces, weight, at"\n'
    with pytest.raises(SourceError, match="DELETE"):
        desk.run(MAPPING.replace("    cursor: changed\n", query), server)
