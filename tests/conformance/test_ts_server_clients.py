"""Our client at a network server as the TypeScript one is."""

import json

import pytest

from conftest import Listeners, Programs
from programs import huly, run_huly
from rust_client import RustError
from ts_listener import NEVER
from wire import ADDED, CLOSE, HELLO, PING, REMOVED, UPDATED, eventually, fresh


@pytest.mark.covers(
    "W10", "method al client → server", "method ak client → server", "method cl client → server",
    "method gg client → server", "method cs client → server",
)
def test_a_rust_client_at_a_typescript_agent(listeners: Listeners) -> None:
    """`gg`, `cs`, `cr`, `al`, `ak`, `cl` of our client; a container's endpoint may be "" (W10)."""
    server = listeners.server(idle=0.2)
    kind, uuid = fresh("kind"), fresh("room")
    agent = listeners.agent(server, [kind])
    rust = listeners.rust(server)
    got = rust.get(kind, uuid, labels=["a"], extra={"topic": "x"})
    assert got == {
        "uuid": uuid,
        "endpoint": agent.endpoint_of(uuid),
        "gone": False,
        "direct": False,
    }
    [[asked, request]] = agent.calls_of("gg")
    assert asked == kind
    assert request == {"uuid": uuid, "labels": ["a"], "extra": {"topic": "x"}}
    assert rust.request(uuid, "greet", {"v": [1, None]})["data"] == {"v": [1, None]}
    assert rust.request(uuid, "nothing") == {
        "op": "nothing",
        "data": None,
        "n": 2,
        "hasClient": False,
    }
    with pytest.raises(RustError, match="boom"):
        rust.request(uuid, "fail")
    ask = {"operation": "echo", "data": 1}
    assert rust.do("requestUuid", uuid=uuid, ask=ask)["n"] == 4
    with pytest.raises(RustError):
        rust.do("requestUuid", uuid=fresh("nothing"), ask=ask)
    assert [each["agentId"] for each in rust.do("agents")] == [agent.id]
    assert rust.do("kinds") == [kind]
    [record] = rust.do("containers", kind=None)
    assert (record["uuid"], record["agentId"]) == (uuid, agent.id)
    assert rust.do("containers", kind=fresh("kind")) == []
    rust.do("release", name=uuid)
    eventually("ct comes", lambda: agent.calls_of("ct") == [[uuid]])


@pytest.mark.covers("W16", "method cr client → server")
def test_a_reference_keeps_it(listeners: Listeners) -> None:
    """W16: one release for a uuid, however many handles there were; the last one sends it."""
    server = listeners.server(idle=0.2)
    kind, uuid = fresh("kind"), fresh("room")
    listeners.agent(server, [kind])
    rust = listeners.rust(server)
    rust.get(kind, uuid, name="one")
    rust.get(kind, uuid, name="other")
    rust.do("release", name="one")
    assert rust.request("other", "echo")["n"] == 1
    assert server.params("cr") == []
    rust.do("release", name="other")
    assert server.params("cr") == [{"uuid": uuid}]


@pytest.mark.covers(
    "method al client → server", "method ak client → server", "method cl client → server",
    "method gg client → server", "method cs client → server", "method cs client → agent's ROUTER",
)
def test_the_command_line(listeners: Listeners, programs: Programs) -> None:
    """`huly` at a TypeScript server: lists, gets, asks, and leaves nothing held."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    uuid = fresh("room")
    assert agent.id in huly(server, "agents")
    assert "room" in huly(server, "kinds")
    assert "room" in huly(server, "kinds", "-o", "wide")
    got = json.loads(huly(server, "-o", "json", "get", "room", "--uuid", uuid))
    assert got["uuid"] == uuid
    answer = json.loads(huly(server, "-o", "json", "request", uuid, "greet", "[1]"))
    assert answer["data"] == [1]
    answer = json.loads(huly(server, "-o", "json", "request", uuid, "greet", "[2]", "--direct"))
    assert answer["data"] == [2]
    assert uuid in huly(server, "containers")
    assert uuid in huly(server, "containers", "-o", "wide")
    # An original server has no feed: that is said instead of waited for.
    watched = run_huly(server, "watch")
    assert watched.returncode == 1
    assert "original" in watched.stderr
    eventually("it is held no more", lambda: not server.containers[uuid].by)


@pytest.mark.covers("W07", "W08", "frame 5 ping client", "frame 8 close client")
def test_pings_and_close(listeners: Listeners, programs: Programs) -> None:
    """W07, W08: pings without a payload keep the session; `close` ends it at once."""
    server = listeners.server()
    rust = listeners.rust(server)
    client = server.next_client()
    eventually("pings come", lambda: len(server.frames(PING, client)) > 1)
    assert len(server.frames(HELLO, client)) == 1
    rust.do("close")
    eventually("it is closed", lambda: client not in server.clients)
    assert len(server.frames(CLOSE, client)) == 1
    with pytest.raises(RustError) as failed:
        rust.do("agents")
    assert failed.value.kind == "Closed"


@pytest.mark.covers("W08")
def test_detach(listeners: Listeners) -> None:
    """The original has no detach: the client leaves without a method that it does not know."""
    server = listeners.server()
    kind, uuid = fresh("kind"), fresh("room")
    listeners.agent(server, [kind])
    rust = listeners.rust(server)
    rust.get(kind, uuid)
    rust.do("detach")
    eventually("it holds nothing", lambda: not server.containers[uuid].by)


@pytest.mark.covers("W25", "frame 4 event server")
def test_events_tell_where_it_lives(listeners: Listeners) -> None:
    """W25: the endpoint is taken from `updated`; `removed` says that nothing replaces it."""
    server = listeners.server()
    kind, uuid = fresh("kind"), fresh("room")
    agent = listeners.agent(server, [kind])
    rust = listeners.rust(server)
    rust.get(kind, uuid)
    [client] = server.containers[uuid].by

    def tell(endpoint: str, event: int) -> None:
        record = {**server.containers[uuid].record, "endpoint": endpoint}
        happened = [{"container": record, "event": event}]
        server.send_event(client, {"agents": [], "containers": happened})

    # Another text, the same meaning.
    other = agent.endpoint_of(uuid).replace(":2,", ":2 ,")
    tell(other, UPDATED)
    eventually("it moved", lambda: rust.look(uuid)["endpoint"] == other)
    # Of `added`, and of an endpoint that is filled in nowhere, nothing is taken.
    tell("", UPDATED)
    tell(agent.endpoint_of(uuid), ADDED)
    tell(other, REMOVED)
    eventually("it is gone", lambda: rust.look(uuid)["gone"])
    assert rust.look(uuid)["endpoint"] == other


@pytest.mark.covers("W06", "W29", "frame 7 retry server")
def test_retry_is_obeyed(listeners: Listeners) -> None:
    """W06, W29: the same request again, with the same id, n half seconds later."""
    server = listeners.server()
    rust = listeners.rust(server)
    server.next_client()
    for ticks in (1, 3):
        server.retries.append(ticks)
        assert rust.do("agents") == []
        [first, again] = server.times(server.requests("al")[-1].id)
        assert ticks * 0.5 - 0.05 <= again - first < ticks * 0.5 + 0.5


@pytest.mark.covers("W06")
def test_above_its_limit(listeners: Listeners) -> None:
    """W06: what the server cannot take yet is sent again; each runs once."""
    server = listeners.server()
    server.in_flight = 3
    kind, uuid = fresh("kind"), fresh("room")
    agent = listeners.agent(server, [kind])
    rust = listeners.rust(server)
    rust.get(kind, uuid)
    asked = [rust.ask(uuid, "wait", n) for n in range(5)]
    container = agent.containers[uuid]
    for _ in asked:
        eventually("one runs", lambda: container.waiting).pop(0).set_result(None)
    assert [each.result(10) for each in asked] == [None] * 5
    assert sorted(data for _, data in container.calls) == list(range(5))


@pytest.mark.covers("W06")
def test_within_the_originals_limit(listeners: Listeners) -> None:
    """W06: ours knows the limit of 25 and sends no more at once, so none has to wait for ticks."""
    server = listeners.server()
    kind, uuid = fresh("kind"), fresh("room")
    agent = listeners.agent(server, [kind])
    rust = listeners.rust(server)
    rust.get(kind, uuid)
    asked = [rust.ask(uuid, "wait", n) for n in range(40)]
    container = agent.containers[uuid]
    eventually("25 run", lambda: len(container.waiting) == 25)
    for _ in asked:
        eventually("one runs", lambda: container.waiting).pop(0).set_result("done")
    assert [each.result(10) for each in asked] == ["done"] * 40
    assert [data for _, data in container.calls] == list(range(40))
    assert server.retried == []


@pytest.mark.covers("W15", "W25")
def test_no_suitable_agent(listeners: Listeners) -> None:
    """W15, W25: a get that no agent can serve is tried again, until its deadline or one comes."""
    server = listeners.server(events_every=0.1)
    rust = listeners.rust(server)
    kind, uuid = fresh("kind"), fresh("room")
    with pytest.raises(RustError, match=f"No suitable agents found for container {kind}") as failed:
        rust.get(kind, uuid, deadlineMs=1500)
    assert (failed.value.kind, failed.value.retryable) == ("NoSuitableAgent", True)
    assert len(server.params("gg")) > 1
    # It got nothing, so it has nothing to release.
    assert server.params("cr") == []
    waiting = rust.start("get", name=uuid, kind=kind, uuid=uuid, deadlineMs=15_000)
    eventually("it is tried", lambda: len(server.params("gg")) > 3)
    agent = listeners.agent(server, [kind])
    assert waiting.result(5)["uuid"] == uuid
    assert uuid in agent.containers


@pytest.mark.covers("frame 0 hello server")
def test_nothing_is_asked_of_the_feed(listeners: Listeners) -> None:
    """The original has no feed: nothing is asked for and nothing comes, and other calls go on."""
    server = listeners.server()
    rust = listeners.rust(server)
    rust.do("updates")
    assert rust.do("agents") == []
    assert rust.do("session")["original"]
    assert [update["is"] for update in rust.updates] in ([], ["reset"])


@pytest.mark.covers("W22")
def test_a_call_that_never_ends(listeners: Listeners) -> None:
    """The original sets no time-outs (W22); every call of ours has a deadline."""
    server = listeners.server()
    server.instead["cs"] = lambda _client, _params: NEVER
    rust = listeners.rust(server)
    ask = {"operation": "x", "data": None, "timeoutMs": 400}
    with pytest.raises(RustError) as failed:
        rust.do("requestUuid", uuid=fresh("room"), ask=ask)
    # It was sent: it may have run.
    assert failed.value.kind == "OutcomeUnknown"
