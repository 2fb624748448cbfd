"""DBOS: so many workflows at once, each of so many steps, over its SQLite system database; steps a second."""

import json
import sys
import tempfile
import time
from importlib.metadata import version

from dbos import DBOS, DBOSConfig


def main(runs: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config: DBOSConfig = {
            "name": "steps",
            "system_database_url": f"sqlite:///{folder}/dbos.db",
            "run_admin_server": False,
            "log_level": "ERROR",
        }
        DBOS(config=config)

        @DBOS.step()
        def increased(x: int) -> int:
            return x + 1

        @DBOS.workflow()
        def flow(x: int) -> int:
            for _ in range(steps):
                x = increased(x)
            return x

        DBOS.launch()
        flow(0)
        start = time.perf_counter()
        handles = [DBOS.start_workflow(flow, 0) for _ in range(runs)]
        if {handle.get_result() for handle in handles} != {steps}:
            raise SystemExit("a workflow miscounted")
        rate = runs * steps / (time.perf_counter() - start)
        DBOS.destroy()
    print(json.dumps({"version": version("dbos"), "steps_a_second": rate}))


main(int(sys.argv[1]), int(sys.argv[2]))
