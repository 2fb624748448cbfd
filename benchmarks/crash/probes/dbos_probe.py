"""DBOS: a workflow of three steps over its SQLite system database; the middle step has the effect.

An effect on SQL is one of its transactions, so that the database of the effect is the application database. It recovers what is
pending of this executor when it is launched.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import probe
from dbos import DBOS, DBOSConfig, SetWorkflowID


def main() -> None:
    """Start the run, or recover it."""
    from sqlalchemy import text

    folder = probe.JOB["folder"]
    config: DBOSConfig = {
        "name": "crash",
        "system_database_url": f"sqlite:///{folder}/dbos.db",
        "application_database_url": f"sqlite:///{folder}/erp.db",
        "application_version": "1",
        "executor_id": "one",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)

    @DBOS.step()
    def plain() -> bool:
        return True

    @DBOS.step()
    def act() -> None:
        probe.effect()

    @DBOS.transaction()
    def written() -> None:
        probe.here("before act")
        DBOS.sql_session.execute(text("INSERT INTO note (text) VALUES (:run)"), {"run": probe.JOB["run"]})
        probe.acted()

    @DBOS.workflow()
    def flow(by_transaction: bool) -> None:
        plain()
        written() if by_transaction else act()
        plain()

    DBOS.launch()
    with SetWorkflowID(probe.JOB["run"]):
        handle = DBOS.start_workflow(flow, probe.JOB["effect"] == "sql")
    end = time.monotonic() + 60
    while handle.get_status().status not in ("SUCCESS", "ERROR") and time.monotonic() < end:
        time.sleep(0.02)
    probe.say("done" if handle.get_status().status == "SUCCESS" else handle.get_status().status)
    DBOS.destroy()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main()
    else:
        print(version("dbos"))
