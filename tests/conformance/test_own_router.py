"""Containers with a ROUTER of their own: endpoint kind 1, the method is the operation (W12)."""

import json
import subprocess
from pathlib import Path

import pytest

from conftest import Peers, Programs
from programs import BIN, Agent, Network, huly
from raw import rust_hello
from wire import EVENT, PING, PONG, REMOVED, UPDATED, PeerError, eventually, fresh


@pytest.mark.covers("W10", "W12")
def test_endpoint(peers: Peers, network: Network, agent: Agent) -> None:
    """W10, W12: kind 1, the container's own port; the same text in `gg`'s answer and in `cl`."""
    client = peers.client(network)
    room, endpoint = client.get("direct-room", {"uuid": fresh("room")})
    at = json.loads(endpoint)
    assert at["kind"] == 1
    assert (at["agentId"], at["uuid"]) == (agent.id, room)
    assert at["host"] == agent.host.split(":")[0]
    assert at["port"] != int(agent.host.split(":")[1])
    [record] = [each for each in client.call("cl", {"kind": "direct-room"}) if each["uuid"] == room]
    assert record["endpoint"] == endpoint


@pytest.mark.covers(
    "frame 4 event container's ROUTER",
    "method OPERATION client → container's ROUTER",
)
def test_requests_and_events(peers: Peers, network: Network, agent: Agent) -> None:
    """The method is the operation, the params are its data; events are just their data."""
    client = peers.client(network)
    room, endpoint = client.get("direct-room", {"uuid": fresh("room")})
    one, other = peers.container(endpoint), peers.container(endpoint)
    said = one.call("say", {"from": "eva", "text": "hello"})
    assert isinstance(said["id"], int)
    for listener in (one, other):
        [data] = eventually("the event arrives", lambda at=listener: at.events)
        assert (data["type"], data["text"]) == ("said", "hello")
    # What is said through the network is heard there too, and the other way round.
    client.request(room, "say", {"from": "adam", "text": "routed"})
    eventually("the second event arrives", lambda: len(other.events) == 2)
    assert [each["text"] for each in client.request(room, "history")] == ["hello", "routed"]
    with pytest.raises(PeerError, match="unknown operation"):
        one.call("cs", [room, "say", {"text": "an operation of this name there is none"}])


@pytest.mark.covers("W05", "method cs client → agent's ROUTER", "method OPERATION client → container's ROUTER")
def test_each_route_has_ids_of_its_own(peers: Peers, network: Network, agent: Agent) -> None:
    """W05: one client id, but a sender to each ROUTER, each with a count of its own: none is answered
    what was asked of another one."""
    client = peers.client(network)
    room, endpoint = client.get("direct-room", {"uuid": fresh("room")})
    at = json.loads(endpoint)
    me = fresh("client")
    addresses = [network.address, agent.address, f"tcp://{at['host']}:{at['port']}"]
    senders = [peers.raw(address, client_id=me) for address in addresses]
    for sender in senders:
        sender.hello()
    said = [{"from": "eva", "text": way} for way in ("network", "agent", "container")]
    asked = [("cs", [room, "say", said[0]]), ("cs", [room, "say", said[1]]), ("say", said[2])]
    answers = []
    for sender, (method, params) in zip(senders, asked, strict=True):
        id = sender.ask(method, params, f"{me}-7")
        answers.append(sender.result(id)["id"])
    assert len(set(answers)) == 3, "none is another's"
    assert [each["text"] for each in client.request(room, "history")] == [one["text"] for one in said]
    # The same once more is what it was there.
    for sender, (method, params), answer in zip(senders[1:], asked[1:], answers[1:], strict=True):
        assert sender.result(sender.ask(method, params, f"{me}-7"))["id"] == answer


@pytest.mark.covers("W04", "W06", "W07")
def test_session(peers: Peers, network: Network, agent: Agent) -> None:
    """W04, W06, W07 hold on it as on any ROUTER; a Rust peer gets hello's payload there."""
    _, endpoint = peers.client(network).get("direct-room", {"uuid": fresh("room")})
    at = json.loads(endpoint)
    address = f"tcp://{at['host']}:{at['port']}"
    raw = peers.raw(address)
    request = raw.ask("history", None)
    frame = raw.receive()
    assert (frame.id, frame.payload) == (request, "1"), "a retry"
    hello = raw.hello()
    assert hello.payload == ""
    raw.send(PING)
    assert raw.expect("pong", lambda frame: frame.op == PONG).id == hello.id
    answer = peers.raw(address).hello(huly=rust_hello()).json()
    assert answer["v"] == 1
    # It is of the container's life, not of the agent's process.
    assert answer["instance"] != peers.raw(agent.address).hello(huly=rust_hello()).json()["instance"]


@pytest.mark.covers("method OPERATION client → container's ROUTER")
def test_how_long_a_caller_waits(peers: Peers, network: Network, agent: Agent) -> None:
    """A third member of a request, which Rust clients send, says for how long they wait."""
    _, endpoint = peers.client(network).get("direct-room", {"uuid": fresh("room")})
    at = json.loads(endpoint)
    raw = peers.raw(f"tcp://{at['host']}:{at['port']}")
    raw.hello(huly=rust_hello())
    given_up = raw.ask("say", {"text": "late"}, beside={"timeoutMs": 0})
    with pytest.raises(PeerError, match="did not run"):
        raw.result(given_up)
    raw.result(raw.ask("say", {"text": "now"}, beside={"timeoutMs": 5000}))
    assert [frame.json()["text"] for frame in raw.seen if frame.op == EVENT] == ["now"]


@pytest.mark.covers("W18", "W25")
def test_failover(peers: Peers, programs: Programs) -> None:
    """W18, W25: its agent killed, it is placed again; `updated` has the new endpoint."""
    network = programs.network()
    agents = {each.id: each for each in (programs.agent(network), programs.agent(network))}
    client = peers.client(network)
    room, before = client.get("direct-room", {"uuid": fresh("room")})
    peers.container(before).call("say", {"text": "lost"})
    agents[json.loads(before)["agentId"]].kill()
    after = eventually(
        "the endpoint is another", lambda: client.endpoints[room] != before and client.endpoints[room]
    )
    assert json.loads(after)["agentId"] != json.loads(before)["agentId"]
    assert json.loads(after)["kind"] == 1
    assert peers.container(after).call("history", None) == []
    kinds = [
        change["event"]
        for event in client.events
        for change in event["containers"]
        if change["container"]["uuid"] == room and change["container"]["endpoint"] == after
    ]
    assert UPDATED in kinds and REMOVED not in kinds


@pytest.mark.covers("W12", "frame 4 event container's ROUTER")
def test_rust_client(peers: Peers, network: Network, agent: Agent, tmp_path: Path) -> None:
    """A Rust client hears it on its own ROUTER (`huly watch`), and asks it through the network."""
    room = fresh("room")
    _, endpoint = peers.client(network).get("direct-room", {"uuid": room})
    log = tmp_path / "watch"
    with log.open("wb") as out:
        command = [str(BIN / "huly"), "--network", network.host, "watch", "--container", room]
        watch = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        direct = peers.container(endpoint)

        def heard() -> bool:
            direct.call("say", {"from": "eva", "text": "hello watcher"})
            return "hello watcher" in log.read_text()

        eventually("the watcher hears", heard)
    finally:
        watch.kill()
        watch.wait()
    assert "hello watcher" in huly(network, "request", room, "history")
