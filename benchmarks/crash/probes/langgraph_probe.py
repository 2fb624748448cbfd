"""LangGraph: a graph of three nodes over its SQLite saver with `sync` durability; the middle node has the effect."""

import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

sys.path.insert(0, str(Path(__file__).parent))
import probe
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    done: bool


def plain(_: State) -> State:
    return {"done": True}


def act(_: State) -> State:
    probe.effect()
    return {"done": True}


def main() -> None:
    """Start the run, or go on with it where it stands."""
    graph = StateGraph(State)
    graph.add_node("before", plain)
    graph.add_node("act", act)
    graph.add_node("after", plain)
    for here, there in ((START, "before"), ("before", "act"), ("act", "after"), ("after", END)):
        graph.add_edge(here, there)
    path = f"{probe.JOB['folder']}/langgraph.db"
    made = graph.compile(checkpointer=SqliteSaver(sqlite3.connect(path, check_same_thread=False, timeout=30)))
    config = {"configurable": {"thread_id": probe.JOB["run"]}}
    began = made.get_state(config).next
    values = made.get_state(config).values
    if began or not values:
        made.invoke(None if began else {"done": False}, config, durability="sync")
    probe.say("done")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main()
    else:
        print(f"{version('langgraph')} (langgraph-checkpoint-sqlite {version('langgraph-checkpoint-sqlite')})")
