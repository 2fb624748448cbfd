"""Subscriptions over real sockets: graphql-transport-ws and server-sent events, on a real uvicorn."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from socket import create_connection
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from api.app import create_app
from api.auth import identifier
from api.graphql.operations import Operation
from api.graphql.scalars import Position
from api.graphql.subscriptions import _changes
from api.platform import Noesis
from api.settings import Settings
from api.threads import Threads
from api.ticker import Ticker
from governance import apikeys
from governance.errors import KeyRejectedError
from governance.people import import_people
from governance.peoplefile import People, Person
from governance.rules import add
from kg.committer import Committer
from tests.api.client import schema
from tests.api.parts import SYSTEM, customer, key, write
from tests.api.server import serving

SECONDS = 15
FOLLOW = (
    "subscription($p: Position) { changes(after: $p) { position kind class entity { ... on Customer { number } } } }"
)
#: Tells a personal value, so each result that does is on record before it is sent.
TELLING = FOLLOW.replace("number", "number email")
SHUT = '@id("shut") forbid(principal in Role::"sales", action == Action::"read", resource);'


@pytest.fixture
def live(platform: Noesis) -> Iterator[tuple[Noesis, str]]:
    """The platform behind a committer, served by uvicorn."""
    committer = Committer(platform.store)
    settings = Settings(feed_poll_seconds=0.2)
    served = replace(platform, store=committer, committed=committer.on_commit, settings=settings)
    with serving(create_app(served, schema(served))) as url:
        yield served, url
    committer.close()


def socket(url: str, **headers: str) -> ClientConnection:
    """An open socket that speaks graphql-transport-ws."""
    return connect(
        url.replace("http", "ws") + "/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers=headers,
        open_timeout=SECONDS,
        close_timeout=1,
    )


def told(connection: ClientConnection) -> Any:
    """The next message but pings."""
    while True:
        message = json.loads(connection.recv(timeout=SECONDS))
        if message["type"] != "ping":
            return message


def begin(connection: ClientConnection, payload: dict[str, str] | None = None) -> None:
    """Shake hands."""
    connection.send(json.dumps({"type": "connection_init", "payload": payload or {}}))
    assert told(connection)["type"] == "connection_ack"


def follow(connection: ClientConnection, id: str, query: str, **variables: Any) -> None:
    """Start an operation."""
    payload = {"query": query, "variables": variables}
    connection.send(json.dumps({"id": id, "type": "subscribe", "payload": payload}))


def test_changes_come_in_order_without_a_gap(live: tuple[Noesis, str]) -> None:
    platform, url = live
    start = platform.store.head().position
    with socket(url) as connection:
        begin(connection)
        follow(connection, "1", FOLLOW, p=start - 5)
        first = [told(connection)["payload"]["data"]["changes"]["position"] for _ in range(5)]
        assert first == list(range(start - 4, start + 1))
        for n in range(10):
            write(platform.store, platform.clock, customer(500 + n))
        later = [told(connection)["payload"]["data"]["changes"] for _ in range(10)]
        assert [change["position"] for change in later] == list(range(start + 1, start + 11))
        assert [change["entity"]["number"] for change in later] == [f"C-{500 + n:04}" for n in range(10)]


def test_a_personal_value_is_on_record_before_its_result_is_sent(live: tuple[Noesis, str]) -> None:
    platform, url = live
    with socket(url) as connection:
        begin(connection)
        follow(connection, "1", TELLING, p=platform.store.head().position)
        write(platform.store, platform.clock, customer(900))
        told_ = told(connection)["payload"]["data"]["changes"]
        assert told_["entity"] == {"number": "C-0900", "email": "c900@example.org"}
        (reading,) = platform.store.find("Reading").items
        assert (reading["told"], reading["subjects"]) == (("Customer.email",), ("customer0900@1",))
        # Its own change comes next, and tells nothing more.
        assert told(connection)["payload"]["data"]["changes"]["class"] == "Reading"
        assert len(platform.store.find("Reading").items) == 1


def test_another_process_s_commits_are_found_by_looking(live: tuple[Noesis, str], platform: Noesis) -> None:
    served, url = live
    with socket(url) as connection:
        begin(connection)
        follow(connection, "1", FOLLOW, p=served.store.head().position)
        # The store below the committer rings no bell, as another process would not.
        write(platform.store, platform.clock, customer(600))
        assert told(connection)["payload"]["data"]["changes"]["entity"]["number"] == "C-0600"


def test_queries_run_on_a_socket_each_for_itself(live: tuple[Noesis, str]) -> None:
    platform, url = live
    with socket(url) as connection:
        begin(connection)
        follow(connection, "1", "{ head { position } }")
        follow(connection, "2", "query @asOf(position: 0) { customers { nodes { name } } }")
        follow(connection, "3", "{ customers { nodes { name } } }")
        messages = [told(connection) for _ in range(6)]
        found = {m["id"]: m["payload"]["data"] for m in messages if m["type"] == "next"}
        assert found["1"]["head"]["position"] == platform.store.head().position
        assert found["2"]["customers"]["nodes"] == []
        assert len(found["3"]["customers"]["nodes"]) == 3


def test_limits_and_codes_hold_on_a_socket(live: tuple[Noesis, str]) -> None:
    with socket(live[1]) as connection:
        begin(connection)
        follow(connection, "1", "{" + "a{" * 150 + "b" + "}" * 151)
        costly = told(connection)
        assert (costly["type"], costly["payload"][0]["extensions"]["code"]) == ("error", "TOO_COSTLY")
        follow(connection, "2", "subscription { nope }")
        assert told(connection)["payload"][0]["extensions"]["code"] == "BAD_INPUT"


def test_a_key_is_needed_in_the_handshake_or_the_first_message(live: tuple[Noesis, str]) -> None:
    platform, url = live
    text = key(platform, 'Service::"shop"')
    with socket(url) as connection:
        begin(connection, {"authorization": f"Bearer {text}"})
        follow(connection, "1", "{ viewer { uid } customers { nodes { email } } }")
        data = told(connection)["payload"]["data"]
        assert data["viewer"]["uid"] == 'Service::"shop"'
        assert all(node["email"] is None for node in data["customers"]["nodes"])
    with socket(url, Authorization=f"Bearer {text}") as connection:
        begin(connection)
        follow(connection, "1", "{ viewer { uid } }")
        assert told(connection)["payload"]["data"]["viewer"]["uid"] == 'Service::"shop"'
    with socket(url) as connection:
        connection.send(json.dumps({"type": "connection_init", "payload": {"authorization": "Bearer noesis_no_no"}}))
        with pytest.raises(ConnectionClosed) as closed:
            told(connection)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


def test_a_key_is_seen_however_its_name_is_written(live: tuple[Noesis, str]) -> None:
    platform, url = live
    text = key(platform, 'Service::"shop"')
    with socket(url) as connection:
        begin(connection, {"Authorization": f"Bearer {text}"})
        follow(connection, "1", "{ viewer { uid } }")
        assert told(connection)["payload"]["data"]["viewer"]["uid"] == 'Service::"shop"'
    for wrong in (
        {"Authorization": "Bearer no"},
        {"authorization": ""},
        {"authorization": f"Bearer {text}", "Authorization": ""},
    ):
        with socket(url) as connection:
            connection.send(json.dumps({"type": "connection_init", "payload": wrong}))
            with pytest.raises(ConnectionClosed) as closed:
                told(connection)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4403


def test_a_position_beyond_the_log_is_refused_and_not_waited_for(live: tuple[Noesis, str]) -> None:
    platform, url = live
    end = platform.store.head().position
    with socket(url) as connection:
        begin(connection)
        follow(connection, "1", FOLLOW, p=end + 1_000)
        error = told(connection)["payload"]["errors"][0]
        assert error["extensions"]["code"] == "BAD_INPUT"
        assert f"the log ends at {end}" in error["message"]
        assert told(connection) == {"id": "1", "type": "complete"}
        follow(connection, "2", "query($p: Position!) { changes(after: $p) { position } }", p=end + 1_000)
        assert "the log ends at" in told(connection)["payload"]["errors"][0]["message"]


def test_a_page_of_another_origin_or_host_gets_no_socket(live: tuple[Noesis, str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        socket(live[1], Origin="http://evil.example")
    assert refused.value.response.status_code == 403
    port = int(live[1].rpartition(":")[2])
    with create_connection(("127.0.0.1", port)) as raw, pytest.raises(InvalidStatus) as rebound:
        connect(f"ws://evil.example:{port}/graphql", sock=raw, open_timeout=SECONDS)
    assert rebound.value.response.status_code == 403


def test_the_legacy_protocol_is_off(live: tuple[Noesis, str]) -> None:
    address = live[1].replace("http", "ws") + "/graphql"
    with connect(
        address, subprotocols=[Subprotocol("graphql-ws")], open_timeout=SECONDS, close_timeout=1
    ) as connection:
        assert connection.subprotocol is None
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4406


def test_a_revoked_key_and_a_new_rule_end_what_is_told(live: tuple[Noesis, str]) -> None:
    platform, url = live
    text, entity = apikeys.create(platform.store, platform.clock, "live", 'Service::"shop"', SYSTEM)
    with socket(url, Authorization=f"Bearer {text}") as connection:
        begin(connection)
        follow(connection, "1", TELLING, p=platform.store.head().position)
        write(platform.store, platform.clock, customer(700))
        assert told(connection)["payload"]["data"]["changes"]["entity"] == {"number": "C-0700", "email": None}
        add(platform.store, platform.clock, platform.ontology, SHUT, SYSTEM, "shut")
        write(platform.store, platform.clock, customer(701))
        apikeys.revoke(platform.store, platform.clock, entity.id, SYSTEM, "lost")
        last = told(connection)
        assert "C-0701" not in str(last)
        assert "UNAUTHENTICATED" in str(last)


def test_each_operation_on_an_open_socket_is_of_who_its_caller_is_by_then(live: tuple[Noesis, str]) -> None:
    platform, url = live
    text, entity = apikeys.create(platform.store, platform.clock, "live", 'Service::"shop"', SYSTEM)
    asked = "{ viewer { roles } customers { nodes { name } } }"
    with socket(url, Authorization=f"Bearer {text}") as connection:
        begin(connection)
        follow(connection, "1", asked)
        data = told(connection)["payload"]["data"]
        assert (data["viewer"]["roles"], len(data["customers"]["nodes"])) == (["sales"], 3)
        told(connection)
        without = People((Person("Service", "shop", {}, frozenset(), frozenset()),), {}, {}, "")
        import_people(platform.store, platform.clock, without, SYSTEM)
        follow(connection, "2", asked)
        data = told(connection)["payload"]["data"]
        assert (data["viewer"]["roles"], data["customers"]["nodes"]) == ([], [])
        told(connection)
        apikeys.revoke(platform.store, platform.clock, entity.id, SYSTEM, "lost")
        for id, query in (("3", asked), ("4", 'mutation { stop(reason: "x") { errors { code } } }')):
            follow(connection, id, query)
            refused = told(connection)
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "[" * 100_000,
        "1" * 5_000,
        '{"type": "%s"}' % ("x" * 200),
        '{"id": {}, "type": "subscribe", "payload": {"query": "{ head { position } }"}}',
        '{"id": "%s", "type": "subscribe", "payload": {"query": "{ head { position } }"}}' % ("x" * 200),
        '{"id": "1", "type": "subscribe", "payload": null}',
        '{"id": "1", "type": "subscribe", "payload": {"query": 5}}',
        '{"id": "1", "type": "subscribe", "payload": {"query": "{ head { position } }", "operationName": {}}}',
        '{"id": "1", "type": "subscribe", "payload": {"query": "{ head { position } }", "variables": [1]}}',
        '{"id": [], "type": "complete"}',
        '{"type": []}',
    ],
)
def test_a_message_without_form_closes_its_socket_and_is_no_error_of_the_server(
    live: tuple[Noesis, str], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket(live[1]) as connection:
        begin(connection)
        connection.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            told(connection)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400
    assert not caplog.records


def test_what_is_too_much_for_a_socket_is_refused_with_a_code(live: tuple[Noesis, str]) -> None:
    platform, url = live
    with socket(url) as connection:
        begin(connection)
        for n in range(platform.settings.subscriptions_max + 1):
            follow(connection, str(n), FOLLOW, p=platform.store.head().position)
        refused = told(connection)
        assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("20", "TOO_COSTLY")


class Between:
    """A store before whose reads of the log something else happens once, whenever a test says so."""

    def __init__(self, platform: Noesis) -> None:
        self._store = platform.store
        self.happens: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def changes(self, *args: Any, **kwargs: Any) -> Any:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        return self._store.changes(*args, **kwargs)


def test_no_change_is_told_under_rules_older_than_itself(platform: Noesis) -> None:
    between = Between(platform)
    text, entity = apikeys.create(platform.store, platform.clock, "live", 'Service::"shop"', SYSTEM)

    def shut() -> None:
        add(platform.store, platform.clock, platform.ontology, SHUT, SYSTEM, "shut")
        write(platform.store, platform.clock, customer(701))
        apikeys.revoke(platform.store, platform.clock, entity.id, SYSTEM, "lost")

    between.happens = shut
    served = replace(platform, store=between, settings=Settings(feed_poll_seconds=0.2))  # type: ignore[arg-type]
    start = platform.store.head().position
    write(platform.store, platform.clock, customer(700))
    with serving(create_app(served, schema(served))) as url, socket(url, Authorization=f"Bearer {text}") as connection:
        begin(connection)
        follow(connection, "1", FOLLOW, p=start)
        assert told(connection)["payload"]["data"]["changes"]["entity"] == {"number": "C-0700"}
        assert "UNAUTHENTICATED" in str(told(connection))


def test_who_takes_long_over_a_batch_is_told_its_rest_under_the_rules_of_then(platform: Noesis) -> None:
    text, entity = apikeys.create(platform.store, platform.clock, "live", 'Service::"shop"', SYSTEM)
    identify = identifier(platform, f"Bearer {text}", "127.0.0.1")
    # Any reader is slower than this.
    served = replace(platform, settings=platform.settings.model_copy(update={"feed_poll_seconds": 1e-9}))
    start = Position(platform.store.head().position)
    write(platform.store, platform.clock, *(customer(700 + n) for n in range(3)))

    async def read(threads: Threads) -> list[str]:
        operation = Operation(served, threads, Ticker(served.store, threads, 0.01), identify=identify)
        followed = _changes(SimpleNamespace(context=operation), start)  # type: ignore[arg-type]
        found = [(await anext(followed)).logged.subject for _ in range(2)]
        add(platform.store, platform.clock, platform.ontology, SHUT, SYSTEM, "shut")
        write(platform.store, platform.clock, customer(703))
        apikeys.revoke(platform.store, platform.clock, entity.id, SYSTEM, "lost")
        with pytest.raises(KeyRejectedError):
            await anext(followed)
        return found

    threads = Threads(2)
    try:
        assert asyncio.run(read(threads)) == ["customer0700", "customer0701"]
    finally:
        threads.close()


def test_a_query_on_a_socket_has_a_time_and_a_subscription_has_none(platform: Noesis) -> None:
    class Slow:
        """A store that holds up one kind of read until it is let go."""

        def __init__(self) -> None:
            self.leave = threading.Event()

        def __getattr__(self, name: str) -> Any:
            return getattr(platform.store, name)

        def changes_of(self, *args: Any, **kwargs: Any) -> Any:
            self.leave.wait(SECONDS)
            return platform.store.changes_of(*args, **kwargs)

    slow = Slow()
    settings = Settings(request_seconds_max=1.0, feed_poll_seconds=0.2)
    served = replace(platform, store=slow, settings=settings)  # type: ignore[arg-type]
    with serving(create_app(served, schema(served))) as url, socket(url) as connection:
        begin(connection)
        follow(connection, "1", FOLLOW, p=platform.store.head().position)
        follow(connection, "2", '{ customer(id: "customer0000") { changes { kind } } }')
        late = told(connection)
        assert (late["id"], late["payload"][0]["extensions"]["code"]) == ("2", "TOO_COSTLY")
        slow.leave.set()
        # The subscription began before and has waited longer than a query may.
        write(platform.store, platform.clock, customer(900))
        assert told(connection)["payload"]["data"]["changes"]["entity"]["number"] == "C-0900"


def test_server_sent_events_carry_the_same(live: tuple[Noesis, str]) -> None:
    platform, url = live
    start = platform.store.head().position
    body = {"query": FOLLOW, "variables": {"p": start}}
    with (
        httpx.Client(timeout=SECONDS, trust_env=False) as http,
        http.stream("POST", f"{url}/graphql", json=body, headers={"accept": "text/event-stream"}) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        write(platform.store, platform.clock, customer(800), customer(801))
        found = []
        for line in answer.iter_lines():
            if line.startswith("data:") and "changes" in line:
                found.append(json.loads(line[5:])["data"]["changes"]["position"])
            if len(found) == 2:
                break
    assert found == [start + 1, start + 2]


def test_a_server_answers_over_a_real_socket_and_stops(live: tuple[Noesis, str]) -> None:
    with httpx.Client(timeout=SECONDS, trust_env=False) as http:
        answer = http.post(f"{live[1]}/graphql", json={"query": "{ viewer { uid } customers { nodes { name } } }"})
        assert answer.status_code == 200
        assert len(answer.json()["data"]["customers"]["nodes"]) == 3
        large = http.post(f"{live[1]}/graphql", content=b"x" * 3_000_000, headers={"content-type": "application/json"})
        assert large.status_code == 413


def test_a_server_ends_in_time_while_somebody_follows(platform: Noesis) -> None:
    settings = Settings(feed_poll_seconds=0.2, shutdown_seconds_max=1)
    served = replace(platform, settings=settings)
    body = {"query": FOLLOW, "variables": {"p": platform.store.head().position - 1}}
    with httpx.Client(timeout=SECONDS, trust_env=False) as http, ExitStack() as opened:
        with serving(create_app(served, schema(served)), settings) as url:
            answer = opened.enter_context(
                http.stream("POST", f"{url}/graphql", json=body, headers={"accept": "text/event-stream"})
            )
            lines = answer.iter_lines()
            assert any("position" in line for line in lines)
        # Leaving the block asserts that the server's thread ended; the stream is cut, not left hanging.
        with suppress(httpx.RemoteProtocolError):
            assert list(lines) is not None


def test_a_message_has_a_bound(live: tuple[Noesis, str]) -> None:
    with socket(live[1]) as connection:
        begin(connection)
        with suppress(ConnectionClosed):
            follow(connection, "1", "{ " + "viewer { uid } " * 200_000 + "}")
        with pytest.raises(ConnectionClosed) as closed:
            told(connection)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
