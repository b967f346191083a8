"""Agents as the TypeScript ones are, on our network server: they serve clients of both sorts."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Peers, Programs
from programs import Network, huly
from wire import ADDED, DEADLINE, REMOVED, REQUEST, RESPONSE, UPDATED, PeerError
from wire import eventually, fresh, text


@pytest.mark.covers(
    "W03", "method gg server → agent's client", "method cs server → agent's client",
    "method cs client → server", "method gg client → server", "frame 1 request server",
    "frame 2 response client", "frame 3 responseError client", "frame 3 responseError server",
)
def test_serves_a_client(peers: Peers, network: Network) -> None:
    """W03: `gg`, `cs` and their answers pass through the network as the agent said them."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    request = {"uuid": uuid, "labels": ["public"], "extra": {"topic": "x"}}
    assert client.get(kind, request) == (uuid, agent.endpoint_of(uuid))
    [[asked_kind, asked]] = agent.calls_of("gg")
    assert asked_kind == kind
    assert {key: value for key, value in asked.items() if value is not None} == request
    assert client.request(uuid, "echo", {"v": 1}) == {
        "op": "echo",
        "data": {"v": 1},
        "n": 1,
        "hasClient": False,
    }
    assert client.request(uuid, "none") == {
        "op": "none",
        "data": None,
        "n": 2,
        "hasClient": False,
    }
    with pytest.raises(PeerError, match="^boom"):
        client.request(uuid, "fail", 1)


@pytest.mark.covers("W02", "W09", "method cs server → agent's client", "frame 2 response server")
def test_payload_is_passed_through(peers: Peers, network: Network) -> None:
    """Payloads are opaque: numbers, escapes, blanks and order come out as they went in."""
    kind, uuid = fresh("kind"), fresh("room")
    agent, caller = peers.raw(network.address), peers.raw(network.address)
    agent.hello()
    caller.hello()
    agent_id = fresh("agent")
    agent.call("ar", {"uuid": agent_id, "containers": [], "kinds": [kind]})
    caller.ask("gg", {"kind": kind, "request": {"uuid": uuid}})
    called = agent.expect("gg", lambda frame: frame.op == REQUEST)
    endpoint = text({"kind": 2, "host": "", "port": 0, "agentId": agent_id})
    agent.send(RESPONSE, called.id, text([uuid, endpoint]))
    caller.expect("the answer", lambda frame: frame.op == RESPONSE)

    data = r'{"z" : 1.10,"a":12345678901234567890123,"e":1e400,"s":"\u0041\/🐎","a":0}'
    caller.send(REQUEST, "asked", f'["cs",["{uuid}","echo",{data}]]')
    called = agent.expect("cs", lambda frame: frame.op == REQUEST)
    assert called.payload == f'["cs",["{agent_id}",["{uuid}","echo",{data}]]]'
    agent.send(RESPONSE, called.id, data)
    assert caller.answer_to("asked").payload == data


@pytest.mark.covers("W14", "method gg client → server")
def test_get_without_uuid(peers: Peers, network: Network) -> None:
    """W14: what the agent names it, or the network did."""
    kind = fresh("kind")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    uuid, endpoint = client.get(kind, {"labels": [fresh("label")]})
    assert uuid in agent.containers
    assert endpoint == agent.endpoint_of(uuid)
    assert client.request(uuid, "echo")["n"] == 1


@pytest.mark.covers("W11", "W16", "method ct server → agent's client", "frame 4 event server")
def test_ended_when_unreferenced(peers: Peers, network: Network) -> None:
    """W16: `ct` to the agent 5 s after the last release, `removed` to everyone (W11)."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client, watcher = peers.client(network), peers.client(network)
    client.get(kind, {"uuid": uuid})
    client.release(uuid)
    eventually("ct arrives", lambda: agent.calls_of("ct") == [[uuid]], 9)
    eventually(
        "a client that never held it is told",
        lambda: [event for event, _ in watcher.container_events(uuid)] == [ADDED, REMOVED],
    )


@pytest.mark.covers(
    "W11", "method au client → server", "method ak client → server", "frame 4 event server",
)
def test_events_of_agents(peers: Peers, network: Network) -> None:
    """W11: an agent's coming and going; `au` at once."""
    watcher = peers.client(network)
    kind = fresh("kind")
    agent = peers.agent(network, [kind])
    eventually("added", lambda: watcher.agent_events(agent.id) == [ADDED])
    assert kind in watcher.call("ak", {})
    assert agent.unregister() == "ok"
    eventually("removed", lambda: watcher.agent_events(agent.id) == [ADDED, REMOVED])
    assert kind not in watcher.call("ak", {})


@pytest.mark.covers("W09", "method al client → server")
def test_an_agent_without_a_router(peers: Peers, network: Network) -> None:
    """W09: what is undefined in the original's answer is written as null."""
    agent = peers.agent(network, [fresh("kind")])
    listed = {each["agentId"]: each for each in peers.client(network).call("al", {})}
    assert listed[agent.id] == {
        "agentId": agent.id,
        "endpoint": None,
        "kinds": agent.kinds,
        "containers": 0,
    }


@pytest.mark.covers("W11", "W20")
def test_events_are_prompt(peers: Peers, network: Network) -> None:
    """Events to TypeScript clients within 100 ms and a little, not 3 s (W20, docs/protocol.md)."""
    watcher = peers.client(network)
    agent = peers.agent(network, [fresh("kind")])
    eventually("added", lambda: watcher.agent_events(agent.id) == [ADDED], 1)


@pytest.mark.covers("W15", "W25")
def test_a_get_that_failed_succeeds_when_an_agent_comes(
    peers: Peers, network: Network
) -> None:
    """W15, W25: the client tries again at the `added` of an agent that serves the kind."""
    client = peers.client(network)
    kind, uuid = fresh("kind"), fresh("room")
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(client.get, kind, {"uuid": uuid})
        # The client is known to have failed once before the agent comes.
        with pytest.raises(PeerError, match="^No suitable agents found"):
            client.call("gg", {"kind": kind, "request": {"uuid": uuid}})
        peers.agent(network, [kind])
        assert got.result(5)[0] == uuid


@pytest.mark.covers("W17", "method ar client → server")
def test_first_registration_wins(peers: Peers, network: Network) -> None:
    """W17: a uuid that lives on another agent goes into the answer to `ar`."""
    kind, uuid = fresh("kind"), fresh("room")
    first = peers.agent(network, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid})
    second = peers.agent(network, [fresh("other"), kind])
    second.call("gg", [kind, {"uuid": uuid}])
    second.client.register(second).result(5)
    assert second.terminated == [uuid]
    client.request(uuid, "echo")
    assert first.containers[uuid].calls


@pytest.mark.covers("W17", "W24", "method ar client → server")
def test_missing_at_the_next_registration(peers: Peers, network: Network) -> None:
    """W17: a container that its agent no longer registers is removed, or placed again if held."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid})
    client.release(uuid)
    del agent.containers[uuid]
    agent.client.register(agent).result(5)
    eventually(
        "removed",
        lambda: [event for event, _ in client.container_events(uuid)][-1:] == [REMOVED],
        3,
    )


@pytest.mark.covers("W17", "W25", "frame 4 event server")
def test_the_agent_moves_its_endpoint(peers: Peers, network: Network) -> None:
    """W17, W25: the same agent may register another endpoint text: `updated`."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind], router=True)
    client = peers.client(network)
    _, before = client.get(kind, {"uuid": uuid})
    eventually("added", lambda: client.container_events(uuid))
    agent.router.port += 1
    agent.client.register(agent).result(5)
    after = eventually(
        "the endpoint moves",
        lambda: client.endpoints[uuid] != before and client.endpoints[uuid],
    )
    assert json.loads(after)["port"] == json.loads(before)["port"] + 1
    assert [event for event, _ in client.container_events(uuid)][1:] == [UPDATED]


@pytest.mark.covers("W30", "method gg server → agent's client")
def test_another_uuid_than_asked_is_none(peers: Peers, network: Network) -> None:
    """W30, soundness.md: an agent that answers with another uuid has failed; the client asks again."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    agent.get_answer = lambda _kind, _request: ["another", agent.endpoint_of("another")]
    got = client.start("gg", {"kind": kind, "request": {"uuid": uuid}})
    eventually("it is asked twice", lambda: len(agent.calls_of("gg")) > 1)
    assert not got.done()
    agent.get_answer = None
    assert got.result(DEADLINE)[0] == uuid


@pytest.mark.covers("W19", "W26")
def test_stateless(peers: Peers, network: Network) -> None:
    """W19, W26: one agent owns the uuid, the other's stays in reserve and takes over."""
    uuid, kind = fresh("leader"), fresh("leader-kind")
    first = peers.agent(network, [fresh("kind")], stateless={uuid: kind})
    second = peers.agent(network, [fresh("kind")], stateless={uuid: kind})
    assert second.terminated == []
    client = peers.client(network)
    _, endpoint = client.get(kind, {"uuid": uuid})
    assert json.loads(endpoint)["agentId"] == first.id
    client.request(uuid, "echo")
    assert len(first.containers[uuid].calls) == 1

    first.client.drop()
    eventually(
        "the standby owns it",
        lambda: client.endpoints.get(uuid) == second.endpoint_of(uuid),
    )
    # The standby needs `removed` first; who holds it is then sent `updated`.
    events = [event for event, _ in client.container_events(uuid)]
    assert events[-2:] == [REMOVED, UPDATED]
    client.request(uuid, "echo")
    assert len(second.containers[uuid].calls) == 1


@pytest.mark.covers("W18", "W11")
def test_failover(peers: Peers, programs: Programs) -> None:
    """W18: what is held is placed on another agent, and the holder is sent one `updated`."""
    network = programs.network()
    kind = fresh("kind")
    agents = {agent.id: agent for agent in (peers.agent(network, [kind]) for _ in range(2))}
    client = peers.client(network)
    uuid, endpoint = client.get(kind, {"uuid": fresh("room"), "labels": ["a"]})
    lost = agents.pop(json.loads(endpoint)["agentId"])
    [left] = agents.values()
    lost.client.drop()
    eventually("updated", lambda: client.endpoints[uuid] == left.endpoint_of(uuid))
    assert client.request(uuid, "echo")["n"] == 1
    [[_, request]] = left.calls_of("gg")
    assert (request["uuid"], request["labels"]) == (uuid, ["a"])
    told = [(event, record["agentId"]) for event, record in client.container_events(uuid)]
    assert told[1:] == [(UPDATED, left.id)]


@pytest.mark.covers("W14", "W18")
def test_failover_of_a_container_got_without_uuid(peers: Peers, programs: Programs) -> None:
    """W14, W18: it is placed again under the uuid that its holder knows, whoever made it."""
    network = programs.network()
    kind = fresh("kind")
    agents = {agent.id: agent for agent in (peers.agent(network, [kind]) for _ in range(2))}
    client = peers.client(network)
    uuid, endpoint = client.get(kind, {"labels": ["a"]})
    lost = agents.pop(json.loads(endpoint)["agentId"])
    [left] = agents.values()
    lost.client.drop()
    eventually("it is placed again", lambda: left.containers)
    assert list(left.containers) == [uuid]
    eventually("updated", lambda: client.endpoints[uuid] == left.endpoint_of(uuid))
    assert client.request(uuid, "echo")["n"] == 1


@pytest.mark.covers("W08", "W18")
def test_failover_of_a_silent_agent(peers: Peers, programs: Programs) -> None:
    """W08, W18: an agent whose client is silent for its aliveTimeout is dead."""
    network = programs.network()
    kind = fresh("kind")
    agents = {agent.id: agent for agent in (peers.agent(network, [kind]) for _ in range(2))}
    client = peers.client(network)
    uuid, endpoint = client.get(kind, {"uuid": fresh("room")})
    lost = agents.pop(json.loads(endpoint)["agentId"])
    [left] = agents.values()
    lost.client.mute()
    eventually("updated", lambda: client.endpoints[uuid] == left.endpoint_of(uuid), 8)
    assert client.request(uuid, "echo")["n"] == 1
    eventually("the agent is gone", lambda: client.agent_events(lost.id)[-1:] == [REMOVED])


@pytest.mark.covers("W18")
def test_a_request_in_flight_at_a_lost_agent_is_answered(
    peers: Peers, programs: Programs
) -> None:
    """Soundness, requests: the caller gets an answer or an error; it never hangs."""
    network = programs.network()
    kind = fresh("kind")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    uuid, _ = client.get(kind, {"uuid": fresh("room")})
    asked = client.start("cs", [uuid, "wait", None])
    eventually("it runs", lambda: agent.containers[uuid].waiting)
    agent.client.drop()
    with pytest.raises(PeerError):
        asked.result(40)


@pytest.mark.covers("W03")
def test_serves_the_command_line(peers: Peers, network: Network) -> None:
    """A Rust client, the CLI, gets a container of a TypeScript agent and asks it."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    holder = peers.client(network)
    got = json.loads(huly(network, "-o", "json", "get", kind, "--uuid", uuid))
    assert got["uuid"] == uuid
    assert uuid in agent.containers
    holder.get(kind, {"uuid": uuid})
    answer = json.loads(
        huly(network, "-o", "json", "request", uuid, "greet", '{"v": [1, null]}')
    )
    assert (answer["op"], answer["data"]) == ("greet", {"v": [1, None]})
    assert kind in huly(network, "kinds")
    assert agent.id in huly(network, "agents")
    assert uuid in huly(network, "containers")


@pytest.mark.covers("W12", "method cs client → agent's ROUTER")
def test_serves_the_command_line_directly(peers: Peers, network: Network) -> None:
    """A Rust client asks a container through the TypeScript agent's own ROUTER (W12)."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind], router=True)
    peers.client(network).get(kind, {"uuid": uuid})
    answer = json.loads(
        huly(network, "-o", "json", "request", uuid, "greet", "5", "--direct")
    )
    assert answer["data"] == 5
    assert ("cs", [uuid, "greet", 5]) in agent.router.asked
