"""A Neo4j store on the real server, emptied first: every test begins with a graph of its own."""

from pathlib import Path

from kg.clock import Clock
from kg.store import Schema
from kg.stores.neo4j import Neo4jStore
from kg.stores.neo4j_server import PATIENCE
from tests.services.server import Server, running


def empty(server: Server) -> None:
    """Remove every node but the record of migrations."""
    from neo4j import GraphDatabase

    with GraphDatabase.driver(server.url, auth=(server.user, server.password)) as driver:
        clear = "MATCH (n) WHERE NOT n:Migration CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS"
        with driver.session() as session:
            session.run(clear).consume()


def open_store(schema: Schema, clock: Clock, server: Server | None = None, patience: float = PATIENCE) -> Neo4jStore:
    """A store on the graph as it is."""
    at = server or running("neo4j")
    return Neo4jStore(at.url, schema, clock, user=at.user, password=at.password, patience=patience)


def fresh(folder: Path, schema: Schema, clock: Clock) -> Neo4jStore:
    """A store on an empty graph; the folder is not needed."""
    empty(running("neo4j"))
    return open_store(schema, clock)
