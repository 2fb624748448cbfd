"""LangGraph: a graph of so many nodes, one after the other, over its SQLite saver with `sync` durability; a step, and its bytes."""

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

ROUNDS = 5


class State(TypedDict, total=False):
    x: int


def increased(state: State) -> State:
    return {"x": state["x"] + 1}


def main(count: int) -> None:
    graph = StateGraph(State)
    for number in range(count):
        graph.add_node(f"s{number}", increased)
        graph.add_edge(f"s{number - 1}" if number else START, f"s{number}")
    graph.add_edge(f"s{count - 1}", END)
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "langgraph.db"
        connection = sqlite3.connect(path, check_same_thread=False)
        made = graph.compile(checkpointer=SqliteSaver(connection))
        for number in range(ROUNDS + 1):
            config = {"configurable": {"thread_id": str(number)}, "recursion_limit": count + 10}
            start = time.perf_counter()
            found = made.invoke({"x": 0}, config, durability="sync")
            taken.append((time.perf_counter() - start) * 1_000 / count)
            if found["x"] != count:
                raise SystemExit(f"it counted to {found['x']}")
        connection.close()
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    step = statistics.median(taken[1:])
    rows = (ROUNDS + 1) * count
    print(json.dumps({"version": version("langgraph"), "step_ms": step, "bytes_a_step": size / rows}))


main(int(sys.argv[1]))
