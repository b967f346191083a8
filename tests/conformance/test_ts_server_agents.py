"""Our agent at a network server as the TypeScript one is."""

import json
from concurrent.futures import Future

import pytest

from conftest import Listeners, Programs
from rust_client import RustError
from wire import DIRECT, PING, ROUTED, PeerError, eventually, fresh


@pytest.mark.covers("W03", "W13")
def test_a_rust_agent_serves_both_sorts_of_clients(
    listeners: Listeners, programs: Programs
) -> None:
    """W03, W13: registered, called back, it answers as the original's agent does."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    rust, typescript = listeners.rust(server), listeners.client(server)
    uuid = fresh("room")
    got = rust.get("room", uuid, labels=["a"], extra={"topic": "x"})
    assert got["uuid"] == uuid
    assert typescript.get("room", {"uuid": uuid}) == (uuid, got["endpoint"])
    assert rust.request(uuid, "echo", {"v": 1})["n"] == 1
    assert typescript.request(uuid, "echo", 2)["n"] == 2
    with pytest.raises(PeerError, match="^boom"):
        typescript.request(uuid, "fail")
    with pytest.raises(RustError, match="boom") as failed:
        rust.request(uuid, "fail")
    assert failed.value.kind == "Failed"
    assert server.containers[uuid].agent == agent.id


@pytest.mark.covers("W10", "W12", "method ar client → server")
def test_what_a_rust_agent_registers(listeners: Listeners, programs: Programs) -> None:
    """`ar`, W10, W12: its kinds, its endpoint, and that it has no containers yet."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    [first] = server.params("ar")
    assert first["uuid"] == agent.id
    assert first["containers"] == []
    assert sorted(first["kinds"]) == ["chat-room", "room"]
    endpoint = json.loads(first["endpoint"])
    assert (endpoint["kind"], endpoint["agentId"]) == (DIRECT, agent.id)
    assert f"{endpoint['host']}:{endpoint['port']}" == agent.host
    assert not endpoint.get("uuid")


@pytest.mark.covers(
    "W10", "W12", "frame 1 request server", "frame 2 response client",
    "frame 3 responseError client", "method gg server → agent's client",
    "method cl server → agent's client", "method cs server → agent's client",
    "method ct server → agent's client",
)
def test_calls_back(listeners: Listeners, programs: Programs) -> None:
    """The rows server → agent's client: `gg`, `cl`, `cs`, `ct`, and calls that are wrong."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    client = server.agents[agent.id].client

    def call(method: str, *params: object) -> object:
        return server.call_back(client, method, [agent.id, list(params)]).result(5)

    uuid = fresh("room")
    made, endpoint = call("gg", "room", {"uuid": uuid, "labels": ["a"], "extra": {"n": 1}})
    assert made == uuid
    seen = json.loads(endpoint)
    assert (seen["kind"], seen["uuid"], seen["agentId"]) == (ROUTED, uuid, agent.id)
    assert call("gg", "room", {"uuid": uuid}) == [uuid, endpoint]
    other, _ = call("gg", "chat-room", {"uuid": fresh("chat"), "labels": None, "extra": None})

    records = {record["uuid"]: record for record in call("cl", None)}
    assert set(records) == {uuid, other}
    record = records[uuid]
    assert (record["agentId"], record["kind"], record["endpoint"]) == (agent.id, "room", endpoint)
    assert record["lastVisit"] > 0
    assert [each["uuid"] for each in call("cl", "room")] == [uuid]

    assert call("cs", uuid, "echo", None)["n"] == 1
    with pytest.raises(PeerError, match="^boom"):
        call("cs", uuid, "fail", None)
    with pytest.raises(PeerError):
        call("cs", fresh("nothing"), "echo", None)
    with pytest.raises(PeerError):
        call("gg", "no-such-kind", {"uuid": fresh("room")})
    assert call("ct", uuid) == ""
    eventually("it is ended", lambda: [each["uuid"] for each in call("cl", None)] == [other])
    with pytest.raises(PeerError):
        call("cs", uuid, "echo", None)
    for method, params in [("??", []), ("gg", [7]), ("cs", "text"), ("ct", [{}]), ("cl", 7)]:
        with pytest.raises(PeerError):
            server.call_back(client, method, [agent.id, params]).result(5)
    with pytest.raises(PeerError):
        server.call_back(client, "cl", [fresh("another-agent"), [None]]).result(5)
    assert call("cs", other, "echo", None)["n"] == 1


@pytest.mark.covers("W14", "W20")
def test_an_agent_joins_by_labels(listeners: Listeners, programs: Programs) -> None:
    """W14: the agent first returns a container of the kind whose labels include the asked ones."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    client = server.agents[agent.id].client

    def get(kind: str, **request: object) -> str:
        return server.call_back(client, "gg", [agent.id, [kind, request]]).result(5)[0]

    both = get("room", labels=["a", "b"])
    assert both
    assert get("room", labels=["b"]) == both
    assert get("room", labels=["b", "a"]) == both
    assert get("room", labels=["a", "c"]) != both
    assert get("chat-room", labels=["a"]) != both


@pytest.mark.covers("method au client → server")
def test_an_agent_leaves(listeners: Listeners, programs: Programs) -> None:
    """`au`, `close`: at SIGTERM an agent ends its containers and is unregistered."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    client = server.agents[agent.id].client
    rust = listeners.rust(server)
    uuid = fresh("room")
    rust.get("room", uuid)
    assert agent.terminate() == 0
    assert {"uuid": agent.id} in server.params("au", client)
    eventually("its client is gone", lambda: client not in server.clients)
    assert agent.id not in server.agents
    assert uuid not in server.containers


@pytest.mark.covers("method ar client → server")
def test_two_agents_of_one_id(listeners: Listeners, programs: Programs) -> None:
    """The later one has the id; the earlier neither dies nor takes it back and forth."""
    server = listeners.server()
    one = programs.recorded_agent(server)
    programs.recorded_agent(server, id=one.id)
    eventually("both have registered", lambda: len(server.params("ar")) == 2)
    clients = list(server.clients)
    assert len(clients) == 2
    pings = {client: len(server.frames(PING, client)) for client in clients}
    for client, before in pings.items():
        eventually("it pings on", lambda: len(server.frames(PING, client)) > before + 1)
    assert len(server.params("ar")) == 2
    rust = listeners.rust(server)
    rust.get("room", fresh("room"), name="room")
    assert rust.request("room", "echo")["n"] == 1
    assert all(program.running for program in programs.started)


@pytest.mark.covers("W17")
def test_ar_says_what_to_end(listeners: Listeners, programs: Programs) -> None:
    """W17: what another agent holds is ended here, the rest is kept."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    client = server.agents[agent.id].client
    rust = listeners.rust(server)
    doomed, kept = fresh("room"), fresh("room")
    rust.get("room", doomed)
    rust.get("room", kept)
    answered: list[list[str]] = []

    def end_it(_: object, params: dict) -> list[str]:
        answered.append([each["uuid"] for each in params["containers"]])
        return [doomed]

    server.instead["ar"] = end_it
    server.restart()
    eventually("it registers both", lambda: answered and set(answered[0]) == {doomed, kept})

    def left() -> list[str]:
        return [
            each["uuid"]
            for each in server.call_back(client, "cl", [agent.id, [None]]).result(5)
        ]

    eventually("it is ended", lambda: left() == [kept])


@pytest.mark.covers("W24")
def test_a_container_that_ends_by_itself(listeners: Listeners, programs: Programs) -> None:
    """W24: the server knows no `cu`: it is told by `ar`, as at every change of the agent's list."""
    server = listeners.server(events_every=0.1)
    agent = programs.recorded_agent(server)
    rust = listeners.rust(server)
    ending, kept = fresh("room"), fresh("room")
    for room in (ending, kept):
        rust.get("room", room)
    rust.request(ending, "end")
    eventually("it is registered no more", lambda: ending not in server.containers)
    assert [each["uuid"] for each in server.params("ar")[-1]["containers"]] == [kept]
    assert rust.request(kept, "echo")["n"] == 1
    # This server places nothing again (W18).
    eventually("its holder is told", lambda: rust.look(ending)["gone"])
    assert server.containers[kept].agent == agent.id


@pytest.mark.covers("W18", "W25")
def test_an_agent_that_was_away(listeners: Listeners, programs: Programs) -> None:
    """W18, W25: a container that was removed and is added again is held again.

    A TypeScript client would not ask again by itself.
    """
    server = listeners.server(events_every=0.1)
    agent = programs.recorded_agent(server)
    rust = listeners.rust(server)
    room = fresh("room")
    rust.get("room", room)
    [holder] = server.containers[room].by
    assert rust.request(room, "echo")["n"] == 1
    agent.stop()
    eventually("its containers are removed", lambda: room not in server.containers)
    eventually("its holder is told", lambda: rust.look(room)["gone"])
    agent.resume()
    eventually("the agent is back", lambda: room in server.containers)
    eventually("it is held", lambda: holder in server.containers[room].by)
    eventually("its holder knows", lambda: not rust.look(room)["gone"])
    assert rust.request(room, "echo")["n"] == 2


@pytest.mark.covers("W03", "W12", "W27")
def test_a_direct_connection(listeners: Listeners, programs: Programs) -> None:
    """W03, W12: our client at our agent's ROUTER, in the network of a TypeScript server."""
    server = listeners.server()
    programs.recorded_agent(server)
    rust = listeners.rust(server)
    room = fresh("room")
    rust.get("room", room)
    rust.do("connect", name=room)
    assert rust.look(room)["direct"]
    answer = rust.request_direct(room, "say", "hello")
    assert (answer["n"], answer["hasClient"]) == (1, True)
    said = [{"type": "said", "text": "hello"}]
    eventually("the event comes", lambda: rust.events.get(room) == said)
    assert server.params("cs") == []
    # The agent's ROUTER is ours: there it is known by its extensions, here they are unheard of.
    assert rust.request(room, "echo")["n"] == 2
    assert [len(params) for params in server.params("cs")] == [3]


@pytest.mark.covers("W13")
def test_gets_at_once(listeners: Listeners, programs: Programs) -> None:
    """W13: gets of one uuid that start at once are the same container, by whichever route."""
    server = listeners.server()
    programs.recorded_agent(server)
    clients = [listeners.rust(server) for _ in range(2)]
    uuid = fresh("room")
    gets: list[Future] = [
        client.start("get", name=f"{n}", kind="room", uuid=uuid)
        for client in clients
        for n in range(3)
    ]
    assert len({get.result(10)["endpoint"] for get in gets}) == 1
    assert [client.request("0", "echo")["n"] for client in clients] == [1, 2]
