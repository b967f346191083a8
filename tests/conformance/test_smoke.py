"""A TypeScript client and the stock agent: get, request, release, lists, direct connections."""

import json
import time

import pytest

from conftest import Peers, Programs
from programs import Agent, Network
from wire import DIRECT, REMOVED, ROUTED, PeerError, eventually, fresh, is_uuid


@pytest.fixture(autouse=True)
def _agent(agent: Agent) -> None:
    """Every test here needs the stock agent."""


@pytest.mark.covers(
    "W13", "W16", "method gg client → server", "method cs client → server",
    "method cr client → server",
)
def test_get_request_release(peers: Peers, network: Network) -> None:
    """W13, W16: a container is made at the first get, answers, and ends 5 s after its release."""
    client = peers.client(network)
    uuid = fresh("echo")
    assert client.get("echo", {"uuid": uuid})[0] == uuid
    payload = {"text": "žluť 🐎 \u2028", "n": [1, 2.5, -0.0, None], "big": 2**53}
    assert client.request(uuid, "echo", payload) == payload

    released = time.monotonic()
    assert client.release(uuid) == "ok"
    assert uuid in listed(client, "echo")
    eventually("the container is ended", lambda: uuid not in listed(client, "echo"), 9)
    assert 4 < time.monotonic() - released < 9
    eventually(
        "the client is told",
        lambda: [event for event, _ in client.container_events(uuid)][-1:] == [REMOVED],
    )
    with pytest.raises(PeerError):
        client.request(uuid, "echo", 1)


@pytest.mark.covers("W12")
def test_endpoint(peers: Peers, network: Network, agent: Agent) -> None:
    """W12: the endpoint of a container leads to its agent's ROUTER."""
    client = peers.client(network)
    uuid, endpoint = client.get("echo", {"uuid": fresh("echo")})
    seen = json.loads(endpoint)
    assert (seen["kind"], seen["uuid"], seen["agentId"]) == (ROUTED, uuid, agent.id)
    assert f"{seen['host']}:{seen['port']}" == agent.host


@pytest.mark.covers("W13", "method gg client → server")
def test_same_uuid_is_the_same_container(peers: Peers, network: Network) -> None:
    """W13: who gets a uuid that lives gets that container."""
    one, other = peers.client(network), peers.client(network)
    uuid = fresh("counter")
    first = one.get("counter", {"uuid": uuid})
    assert other.get("counter", {"uuid": uuid}) == first
    assert one.request(uuid, "increment") == {"value": 1}
    assert other.request(uuid, "increment", {"by": 4}) == {"value": 5}
    assert one.request(uuid, "value") == {"value": 5}


@pytest.mark.covers("W13")
def test_gets_at_once_make_one(peers: Peers, network: Network) -> None:
    """W13: a get of a uuid that is just starting waits for that one."""
    clients = [peers.client(network) for _ in range(4)]
    uuid = fresh("counter")
    params = {"kind": "counter", "request": {"uuid": uuid}}
    gets = [client.start("gg", params) for client in clients for _ in range(5)]
    assert len({tuple(get.result(10)) for get in gets}) == 1
    values = [client.request(uuid, "increment")["value"] for client in clients]
    assert values == [1, 2, 3, 4]


@pytest.mark.covers("W16", "method cr client → server")
def test_the_second_reference_keeps_it(peers: Peers, network: Network) -> None:
    """W16: a container lives as long as one reference is held."""
    one, other = peers.client(network), peers.client(network)
    uuid, gone = fresh("counter"), fresh("counter")
    one.get("counter", {"uuid": uuid})
    other.get("counter", {"uuid": uuid})
    one.get("counter", {"uuid": gone})
    one.request(uuid, "increment")
    one.release(uuid)
    one.release(gone)
    eventually("the other one is ended", lambda: gone not in listed(one, "counter"), 9)
    assert other.request(uuid, "value") == {"value": 1}


@pytest.mark.covers("W14")
def test_get_without_uuid_makes_a_uuid(peers: Peers, network: Network) -> None:
    """W14: without a uuid the network or the agent makes one."""
    client = peers.client(network)
    uuid, _ = client.get("echo", {"labels": [fresh("label")]})
    assert uuid and client.request(uuid, "echo", 7) == 7


@pytest.mark.covers("W14")
def test_get_by_labels(peers: Peers, network: Network) -> None:
    """W14: a get by labels joins a container whose labels include them all, and only such a one."""
    one, other = peers.client(network), peers.client(network)
    red, round_, big = fresh("red"), fresh("round"), fresh("big")
    first, _ = one.get("counter", {"labels": [red, round_]})
    assert other.get("counter", {"labels": [round_]})[0] == first
    assert other.get("counter", {"labels": [round_, red]})[0] == first
    assert other.get("counter", {"labels": [red, big]})[0] != first
    assert other.get("echo", {"labels": [red]})[0] != first


@pytest.mark.covers("W10", "W20", "method cl client → server")
def test_labels_in_lists(peers: Peers, network: Network, agent: Agent) -> None:
    """W10: `cl` says labels, extra and endpoint of a container."""
    client = peers.client(network)
    label = fresh("label")
    request = {"uuid": fresh("echo"), "labels": [label, "b"], "extra": {"topic": "x"}}
    uuid, endpoint = client.get("echo", request)
    record = listed(client, "echo")[uuid]
    assert record["agentId"] == agent.id
    assert record["kind"] == "echo"
    assert record["endpoint"] == endpoint
    assert record["labels"] == [label, "b"]
    assert record["extra"] == {"topic": "x"}
    assert uuid in listed(client, None)
    assert uuid not in listed(client, "counter")


@pytest.mark.covers("W12", "method al client → server", "method ak client → server")
def test_agents_and_kinds(peers: Peers, network: Network, agent: Agent) -> None:
    """`al` and `ak`; the agent's own endpoint is of kind 1 and has no uuid (W12)."""
    client = peers.client(network)
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    [seen] = [each for each in client.call("al", {}) if each["agentId"] == agent.id]
    assert {"echo", "counter", "chat-room"} <= set(seen["kinds"])
    assert seen["containers"] >= 1
    endpoint = json.loads(seen["endpoint"])
    assert endpoint["kind"] == DIRECT and not endpoint.get("uuid")
    assert f"{endpoint['host']}:{endpoint['port']}" == agent.host
    assert {"echo", "counter", "chat-room"} <= set(client.call("ak", {}))


@pytest.mark.covers("frame 3 responseError server", "method cs client → server")
def test_error_of_the_container(peers: Peers, network: Network) -> None:
    """Op 3: the container's own error reaches the caller and harms nothing."""
    client = peers.client(network)
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    with pytest.raises(PeerError, match="the reason why"):
        client.request(uuid, "fail", {"message": "the reason why"})
    with pytest.raises(PeerError):
        client.request(uuid, "no such operation")
    assert client.request(uuid, "echo", 1) == 1


@pytest.mark.covers("frame 3 responseError client", "frame 3 responseError server")
def test_a_panic_ends_that_container_alone(peers: Peers, network: Network) -> None:
    """Issue 3, item 4: a panic is answered by an error, and other containers live on."""
    client = peers.client(network)
    neighbour, _ = client.get("counter", {"uuid": fresh("counter")})
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    client.request(neighbour, "increment")
    with pytest.raises(PeerError):
        client.request(uuid, "panic")
    assert client.request(neighbour, "increment") == {"value": 2}


@pytest.mark.covers("W28")
def test_requests_run_side_by_side(peers: Peers, network: Network) -> None:
    """W28: a slow request does not hold up a later one to the same container."""
    client = peers.client(network)
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    slow = client.start("cs", [uuid, "sleep", {"ms": 2000}])
    assert client.request(uuid, "echo", "fast", within=1.5) == "fast"
    assert not slow.done()
    slow.result(10)


@pytest.mark.covers("W28")
def test_requests_start_in_order(peers: Peers, network: Network) -> None:
    """W28: requests of one client start in the order sent."""
    client = peers.client(network)
    uuid, _ = client.get("counter", {"uuid": fresh("counter")})
    asked = [client.start("cs", [uuid, "increment", None]) for _ in range(300)]
    assert [each.result(10)["value"] for each in asked] == list(range(1, 301))


@pytest.mark.covers("W15", "frame 3 responseError server")
def test_unknown_kind(peers: Peers, network: Network) -> None:
    """W15: the text by which TypeScript clients know to ask again, then served at once."""
    client = peers.client(network)
    kind = fresh("nobody-serves")
    with pytest.raises(PeerError, match=f"^No suitable agents found for container {kind}"):
        client.call("gg", {"kind": kind, "request": {}})


@pytest.mark.covers("frame 3 responseError server", "method cs client → server")
def test_unknown_container(peers: Peers, network: Network) -> None:
    """A request to a container that does not live is answered with an error, not held for ever."""
    client = peers.client(network)
    with pytest.raises(PeerError):
        client.request(fresh("nothing"), "echo", 1)


@pytest.mark.covers("W15")
def test_round_robin(peers: Peers, programs: Programs) -> None:
    """W15: two agents that serve the kind take turns."""
    network = programs.network()
    agents = {programs.agent(network).id for _ in range(2)}
    client = peers.client(network)
    endpoints = [client.get("echo", {"uuid": fresh("echo")})[1] for _ in range(6)]
    order = [json.loads(endpoint)["agentId"] for endpoint in endpoints]
    assert set(order) == agents
    assert all(one != other for one, other in zip(order, order[1:], strict=False))


@pytest.mark.covers(
    "W12", "W27", "method cc client → agent's ROUTER", "method cd client → agent's ROUTER",
    "method cs client → agent's ROUTER", "frame 4 event agent's ROUTER",
)
def test_direct(peers: Peers, network: Network, agent: Agent) -> None:
    """W12, W27: `cc`, `cs`, the event, `cd` on the agent's ROUTER."""
    client, direct = peers.client(network), peers.direct(agent)
    room, _ = client.get("chat-room", {"uuid": fresh("room")})
    assert is_uuid(direct.server)
    assert isinstance(direct.call("cc", {"uuid": room}), int)
    said = direct.request(room, "say", {"from": "eva", "text": "hello"})
    assert isinstance(said["id"], int)
    [uuid, data] = eventually("the event arrives", lambda: direct.events)[0]
    assert uuid == room
    assert (data["type"], data["text"]) == ("said", "hello")

    # What is said through the network is heard on the direct connection too.
    client.request(room, "say", {"from": "adam", "text": "routed"})
    eventually("the second event arrives", lambda: len(direct.events) == 2)
    assert direct.events[1][1]["text"] == "routed"

    assert direct.call("cd", {"uuid": room}) == "ok"
    direct.request(room, "say", {"text": "nobody hears"})
    # An event would come before a later answer on the same connection.
    direct.request(room, "history", None)
    assert len(direct.events) == 2


@pytest.mark.covers("W27", "method cc client → agent's ROUTER", "frame 4 event agent's ROUTER")
def test_direct_only_to_those_connected(
    peers: Peers, network: Network, agent: Agent
) -> None:
    """W27: events of a room go to those who said `cc` to that room; `cc` takes a list as well."""
    client, listener, other = peers.client(network), peers.direct(agent), peers.direct(agent)
    rooms = [client.get("chat-room", {"uuid": fresh("room")})[0] for _ in range(2)]
    listener.call("cc", {"uuid": rooms})
    other.call("cc", {"uuid": rooms[1]})
    for room in rooms:
        client.request(room, "say", {"text": room})
    eventually("both are heard", lambda: len(listener.events) == 2)
    eventually("the one is heard", lambda: other.events)
    assert [uuid for uuid, _ in listener.events] == rooms
    assert [uuid for uuid, _ in other.events] == rooms[1:]


@pytest.mark.covers("method cd client → agent's ROUTER", "method cs client → agent's ROUTER")
def test_direct_errors(peers: Peers, agent: Agent) -> None:
    """`cc`, `cd` and `cs` of a container that the agent does not host are errors."""
    direct = peers.direct(agent)
    for method, params in [
        ("cd", {"uuid": fresh("nothing")}),
        ("cs", [fresh("nothing"), "echo", 1]),
    ]:
        with pytest.raises(PeerError):
            direct.call(method, params)


def listed(client, kind: str | None) -> dict:
    params = {} if kind is None else {"kind": kind}
    return {record["uuid"]: record for record in client.call("cl", params)}
