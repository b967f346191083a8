"""The network server is killed and started, agents are killed, frozen and ended."""

import pytest

from conftest import Peers, Programs
from wire import PeerError, eventually, fresh


@pytest.mark.covers("W04", "W21")
def test_server_restarted_typescript(peers: Peers, programs: Programs) -> None:
    """W04, W21: agents register again, references are got again, containers live on."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid, "labels": ["a"]})
    unlabelled, _ = client.get(kind, {})
    client.request(uuid, "echo")
    network.kill()
    network.start()
    eventually("the client has a new session", lambda: len(client.sessions) == 2)
    eventually("the agent has a new session", lambda: len(agent.client.sessions) == 2)
    assert client.request(uuid, "echo")["n"] == 2
    assert client.request(unlabelled, "echo")["n"] == 1
    assert agent.terminated == []
    # The get without a uuid was answered with the container that it had made before.
    assert set(agent.containers) == {uuid, unlabelled}


@pytest.mark.covers("W05", "W21")
def test_server_restarted_with_a_request_in_flight(peers: Peers, programs: Programs) -> None:
    """W05, W21: what was pending is sent again with its id, and answered or fails; never hangs."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid})
    asked = client.start("cs", [uuid, "wait", None])
    waiting = agent.containers[uuid].waiting
    eventually("it runs", lambda: waiting)
    network.kill()
    network.start()
    # With a TypeScript agent a resend may run again (soundness.md, requests).
    eventually("it is sent again", lambda: len(waiting) == 2 or asked.done())
    for each in waiting:
        each.set_result("done")
    try:
        assert asked.result(40) == "done"
    except PeerError as error:
        assert str(error)


@pytest.mark.covers("W04", "W10")
def test_server_restarted_rust_agent(peers: Peers, programs: Programs) -> None:
    """Issue 3: a container of the stock agent keeps its value over a restart of the server."""
    network = programs.network()
    programs.agent(network)
    client = peers.client(network)
    uuid = fresh("counter")
    label = fresh("label")
    client.get("counter", {"uuid": uuid, "labels": [label], "extra": {"a": 1}})
    nameless, _ = client.get("counter", {"labels": [fresh("label")]})
    for _ in range(3):
        client.request(uuid, "increment")
    client.request(nameless, "increment")
    for restart in (1, 2):
        network.kill()
        network.start()
        eventually("a new session", lambda: len(client.sessions) == 1 + restart)
        assert client.request(uuid, "increment") == {"value": 3 + restart}
        assert client.request(nameless, "value") == {"value": 1}
        records = {each["uuid"]: each for each in client.call("cl", {"kind": "counter"})}
        assert set(records) == {uuid, nameless}
        assert (records[uuid]["labels"], records[uuid]["extra"]) == ([label], {"a": 1})


@pytest.mark.covers("W21")
def test_a_late_agent_after_a_restart(peers: Peers, programs: Programs) -> None:
    """soundness.md, the server restarts: a request for a uuid not yet known is held."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid})
    network.kill()
    network.start()
    # A new client asks at once, most likely before the agent has registered.
    raw = peers.raw(network.address)
    raw.hello()
    assert raw.call("cs", [uuid, "echo", None])["n"] == 1
    assert agent.terminated == []


@pytest.mark.covers("W18")
def test_a_frozen_rust_agent(peers: Peers, programs: Programs) -> None:
    """W18, soundness.md: frozen for longer than the alive time-out its containers move; thawed,
    its copy is ended and answers nobody."""
    network = programs.network()
    agents = {agent.id: agent for agent in (programs.agent(network) for _ in range(2))}
    client = peers.client(network)
    uuid, _ = client.get("counter", {"uuid": fresh("counter")})
    client.request(uuid, "increment")
    [record] = client.call("cl", {"kind": "counter"})
    frozen = agents.pop(record["agentId"])
    [other] = agents.values()
    frozen.stop()
    eventually("it moves", lambda: other.id in client.endpoints.get(uuid, ""), 10)
    assert client.request(uuid, "value") == {"value": 0}
    frozen.resume()
    eventually("the agent is back", lambda: len(client.call("al", {})) == 2)
    direct = peers.direct(frozen)

    def refused() -> bool:
        try:
            direct.request(uuid, "increment", within=35)
        except PeerError:
            return True
        return False

    assert refused()
    eventually(
        "its copy is ended",
        lambda: frozen.metric("huly_agent_containers", kind="counter") == 0,
    )
    assert client.request(uuid, "increment") == {"value": 1}


@pytest.mark.covers("W18")
@pytest.mark.parametrize("named", [True, False], ids=["by uuid", "without uuid"])
def test_an_agent_killed(named: bool, peers: Peers, programs: Programs) -> None:
    """W18: a killed agent's container is placed on the other, its holder told; within 3 s."""
    network = programs.network()
    agents = {agent.id: agent for agent in (programs.agent(network) for _ in range(2))}
    client = peers.client(network)
    request = {"uuid": fresh("counter")} if named else {}
    uuid, endpoint = client.get("counter", request)
    killed = agents.pop(next(agent for agent in agents if agent in endpoint))
    [other] = agents.values()
    killed.kill()
    eventually("it moves", lambda: other.id in client.endpoints.get(uuid, ""), 3)
    assert client.request(uuid, "increment") == {"value": 1}


@pytest.mark.covers("W18", "method au client → server")
def test_an_agent_terminated(peers: Peers, programs: Programs) -> None:
    """design.md: at SIGTERM an agent ends its containers, unregisters and exits 0."""
    network = programs.network()
    agents = {agent.id: agent for agent in (programs.agent(network) for _ in range(2))}
    client = peers.client(network)
    uuid, endpoint = client.get("counter", {"uuid": fresh("counter")})
    gone = agents.pop(next(agent for agent in agents if agent in endpoint))
    [other] = agents.values()
    assert gone.terminate() == 0
    eventually("it moves", lambda: other.id in client.endpoints.get(uuid, ""), 3)
    assert client.request(uuid, "increment") == {"value": 1}
    assert [each["agentId"] for each in client.call("al", {})] == [other.id]
