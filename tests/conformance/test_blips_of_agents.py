"""Agents whose connection is cut and comes back: within the grace their containers stay and calls
wait for them, after it they are elsewhere; whatever was on its way, its caller is answered.

soundness.md, sessions and "When an agent is gone".
"""

import json
from concurrent.futures import Future
from typing import Any

import pytest

from conftest import Peers, Programs
from peers import TypeScriptClient
from programs import Agent, Network
from relay import DOWN, UP
from ts_agent import TypeScriptAgent
from wire import REMOVED, UPDATED, PeerError, eventually, fresh

GRACE = 4000
"""ms of grace where the agent is to be back within it, however busy the machine is."""


def suspected(network: Network) -> bool:
    return network.metric("huly_network_agents", state="Suspected") == 1


def moves(client: TypeScriptClient, uuid: str) -> list[str]:
    """Where a container went, as a client was told: once for each, by `updated` alone."""
    told = client.container_events(uuid)
    assert REMOVED not in [event for event, _ in told]
    _, *moves = [(event, record["agentId"]) for event, record in told]
    assert all(event == UPDATED for event, _ in moves)
    return [agent for _, agent in moves]


class Cut:
    """A network of one client, and an agent of `kind` behind a relay that hosts the container."""

    def __init__(self, peers: Peers, network: Network, kind: str):
        self.network, self.kind, self.uuid = network, kind, fresh("room")
        self.relay = peers.relay(network)
        self.agent: TypeScriptAgent = peers.agent(self.relay, [kind])
        self.client: TypeScriptClient = peers.client(network)
        _, self.endpoint = self.client.get(kind, {"uuid": self.uuid})

    @property
    def container(self) -> Any:
        return self.agent.containers[self.uuid]

    def ask(self, operation: str) -> Future:
        return self.client.start("cs", [self.uuid, operation, None])

    def away(self) -> None:
        """Until `relay.open`: the server has seen the end of the agent's connection."""
        self.relay.shut()
        eventually("suspicion", lambda: suspected(self.network))

    def back(self) -> None:
        eventually("the agent is back", lambda: len(self.agent.client.sessions) == 2)

    def stayed(self) -> None:
        """It was not placed again, not ended, and no client was told that it moved."""
        assert len(self.agent.calls_of("gg")) == 1
        assert self.agent.terminated == []
        for event, record in self.client.container_events(self.uuid):
            assert (event != REMOVED, record["endpoint"]) == (True, self.endpoint)
        assert all(self.client.answers[id] == 1 for id in self.client.ids("cs"))


@pytest.fixture(scope="module")
def patient(shared: Programs) -> Network:
    return shared.network(plain_grace_ms=GRACE)


@pytest.fixture
def cut(peers: Peers, patient: Network) -> Cut:
    """Beside the agent behind the relay there is another of the kind, which must get nothing."""
    cut = Cut(peers, patient, fresh("kind"))
    peers.agent(patient, [cut.kind])
    return cut


@pytest.mark.covers("W04", "W17", "W18", "W21", "method ar client → server")
def test_calls_wait_within_the_grace(cut: Cut) -> None:
    """What is asked while the agent is away is held, in order, and runs when it is back."""
    assert cut.ask("echo").result(5)["n"] == 1
    cut.away()
    asked = [cut.ask("echo") for _ in range(5)]
    assert cut.kind in cut.client.call("ak", {})
    assert not any(each.done() for each in asked)
    cut.relay.open()
    assert [each.result(5)["n"] for each in asked] == [2, 3, 4, 5, 6]
    cut.back()
    cut.stayed()


@pytest.mark.covers("W18", "W21", "method cs server → agent's client")
def test_a_call_that_is_lost_on_its_way(cut: Cut) -> None:
    """The agent never saw it: it is called again."""
    cut.relay.lose(DOWN)
    asked = cut.ask("lost")
    eventually("it is lost", lambda: cut.relay.has_lost(DOWN, '"lost"'))
    cut.relay.cut()
    assert asked.result(5)["op"] == "lost"
    assert cut.container.calls == [("lost", None)]
    cut.stayed()


@pytest.mark.covers("W18", "W21", "frame 2 response client")
def test_an_answer_that_is_lost_on_its_way(cut: Cut) -> None:
    """The agent answered and knows no more of it: its caller is answered all the same."""
    cut.relay.lose(UP)
    asked = cut.ask("answered")
    eventually("its answer is lost", lambda: cut.relay.has_lost(UP, '"answered"'))
    cut.relay.cut()
    # With a TypeScript agent it may run again (soundness.md, requests).
    assert asked.result(5)["op"] == "answered"
    cut.stayed()


@pytest.mark.covers("W18", "W21", "frame 2 response client", "frame 3 responseError client")
@pytest.mark.parametrize("well", [True, False], ids=["answer", "error"])
def test_a_call_that_runs_while_the_connection_is_cut(well: bool, cut: Cut) -> None:
    """The agent answers it over the new connection: to one whose session goes on, that counts."""
    asked = cut.ask("wait")
    waiting = eventually("it runs", lambda: cut.container.waiting)
    cut.relay.cut()
    cut.back()
    # Its registration and what the server asks it again have been read before this.
    cut.ask("echo").result(5)
    for each in list(waiting):
        each.set_result("done") if well else each.set_exception(RuntimeError("boom"))
    if well:
        assert asked.result(5) == "done"
    else:
        with pytest.raises(PeerError, match="^boom"):
            asked.result(5)
    cut.stayed()


@pytest.mark.covers("W14", "W18", "W21", "method gg server → agent's client")
@pytest.mark.parametrize("way", [DOWN, UP], ids=["call lost", "answer lost"])
def test_a_get_that_is_lost_on_its_way(way: str, cut: Cut) -> None:
    """A get that was on its way to the agent: its caller gets a container that answers."""
    uuid = fresh("late")
    # Whose turn it is, is not told: one of two gets goes to the agent behind the relay.
    cut.relay.lose(way)
    gets = [
        cut.client.start("gg", {"kind": cut.kind, "request": {"uuid": each}})
        for each in (uuid, f"{uuid}-too")
    ]
    eventually("it is lost", lambda: cut.relay.has_lost(way, uuid))
    cut.relay.cut()
    for each in gets:
        got, endpoint = each.result(10)
        listed = {record["uuid"]: record for record in cut.client.call("cl", {})}
        assert json.loads(endpoint)["agentId"] == listed[got]["agentId"]
        assert cut.client.request(got, "echo")["n"] == 1


@pytest.mark.covers("W17", "method ar client → server")
@pytest.mark.parametrize("way", [UP, DOWN], ids=["request lost", "answer lost"])
def test_a_registration_that_is_lost(way: str, peers: Peers, network: Network) -> None:
    """The agent learns what it must end, and is known, though the first `ar` or its answer went."""
    kind, uuid = fresh("kind"), fresh("room")
    first = peers.agent(network, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid})
    relay = peers.relay(network)
    second = peers.agent(relay, [kind])
    second.call("gg", [kind, {"uuid": uuid}])
    relay.lose(way)
    registered = second.client.register(second)
    eventually("it is lost", lambda: relay.has_lost(way, second.client.ids("ar")[-1]))
    relay.cut()
    assert registered.result(5) == [uuid]
    eventually("it ends its copy", lambda: uuid not in second.containers)
    assert client.request(uuid, "echo")["n"] == 1 and first.containers[uuid].calls
    assert second.id in [each["agentId"] for each in client.call("al", {})]


@pytest.mark.covers("W11", "W17", "W18", "W21")
def test_back_after_the_grace(peers: Peers, programs: Programs) -> None:
    """Its container went elsewhere, once; when it is back, it is told to end its copy."""
    network = programs.network()
    cut = Cut(peers, network, fresh("kind"))
    other = peers.agent(network, [cut.kind])
    cut.ask("echo").result(5)
    waiting = cut.ask("wait")
    eventually("it runs", lambda: cut.container.waiting)
    cut.away()
    held = cut.ask("echo")
    eventually("it moves", lambda: cut.client.endpoints[cut.uuid] == other.endpoint_of(cut.uuid), 5)
    assert held.result(5)["op"] == "echo"
    with pytest.raises(PeerError):
        waiting.result(5)  # It may have run: nobody runs it again.
    cut.relay.open()
    eventually("its copy is ended", lambda: cut.agent.terminated == [cut.uuid])
    assert cut.ask("echo").result(5)["n"] == len(other.containers[cut.uuid].calls)
    assert moves(cut.client, cut.uuid) == [other.id]
    agents = {each["agentId"]: each["containers"] for each in cut.client.call("al", {})}
    assert agents == {cut.agent.id: 0, other.id: 1}


@pytest.mark.covers("W17", "W18", "W21")
def test_back_after_the_grace_with_nobody_else(peers: Peers, programs: Programs) -> None:
    """Nobody else serves the kind: the container that was always there goes on, calls waited."""
    network = programs.network()
    cut = Cut(peers, network, fresh("kind"))
    cut.ask("echo").result(5)
    cut.away()
    held = cut.ask("echo")
    eventually(
        "the agent is gone",
        lambda: cut.client.agent_events(cut.agent.id)[-1:] == [REMOVED],
        8,
    )
    cut.relay.open()
    assert held.result(8)["n"] == 2
    assert cut.agent.terminated == []
    assert cut.ask("echo").result(5)["n"] == 3
    eventually("it is told where", lambda: cut.client.endpoints.get(cut.uuid) == cut.endpoint)
    events = [event for event, _ in cut.client.container_events(cut.uuid)]
    assert events[-2:] == [REMOVED, UPDATED]


@pytest.mark.covers("W18")
def test_the_late_end_of_an_old_connection(cut: Cut) -> None:
    """The server sees the end of the agent's old connection after the new one: no death."""
    cut.relay.cut(program_sees_it=False)
    cut.back()
    assert cut.ask("echo").result(5)["n"] == 1
    cut.relay.bury()
    pongs = cut.client.pongs
    eventually("some pings", lambda: cut.client.pongs >= pongs + 2)
    assert cut.ask("echo").result(5)["n"] == 2
    assert len(cut.agent.client.sessions) == 2
    cut.stayed()


@pytest.mark.covers("W18", "W21")
def test_one_cut_after_another(cut: Cut) -> None:
    """Every request is answered, and those of one cut in the order sent."""
    for _ in range(6):
        before = len(cut.agent.client.hellos)
        asked = [cut.ask("echo") for _ in range(20)]
        cut.relay.cut()
        asked += [cut.ask("echo") for _ in range(20)]
        eventually("it is back", lambda: len(cut.agent.client.hellos) > before)
        assert all(each.result(10)["op"] == "echo" for each in asked)
    cut.stayed()


class RustCut:
    """The same with the stock agent, whose counter shows how often a request ran."""

    def __init__(self, peers: Peers, programs: Programs, network: Network):
        self.network, self.relay = network, peers.relay(network)
        self.agent: Agent = programs.agent(self.relay)
        self.client = peers.client(network)
        self.uuid, self.endpoint = self.client.get("counter", {"uuid": fresh("counter")})

    def increment(self) -> Future:
        return self.client.start("cs", [self.uuid, "increment", None])

    def stayed(self, value: int) -> None:
        assert self.client.request(self.uuid, "value") == {"value": value}
        assert self.client.endpoints[self.uuid] == self.endpoint
        assert all(self.client.answers[id] == 1 for id in self.client.ids("cs"))


@pytest.fixture
def rust(peers: Peers, programs: Programs) -> RustCut:
    network = programs.network(grace_ms=GRACE)
    cut = RustCut(peers, programs, network)
    programs.agent(network)
    return cut


@pytest.mark.covers("W18", "method cs server → agent's client")
@pytest.mark.parametrize("way", [DOWN, UP], ids=["call lost", "answer lost"])
def test_a_rust_agent_runs_it_once(way: str, rust: RustCut) -> None:
    """A call or its answer goes with the agent's connection: it runs once and is answered."""
    rust.relay.lose(way)
    asked = rust.increment()
    [id] = rust.client.ids("cs")
    mark = id if way == DOWN else '{"value":1}'
    eventually("it is lost", lambda: rust.relay.has_lost(way, mark))
    rust.relay.cut()
    assert asked.result(5) == {"value": 1}
    rust.stayed(1)


@pytest.mark.covers("W18")
def test_a_rust_agent_that_is_cut_again_and_again(rust: RustCut) -> None:
    """Each request runs once, in the order sent, whatever happens to the agent's connection."""
    asked = []
    for cut in range(8):
        asked += [rust.increment() for _ in range(25)]
        accepted = rust.relay.accepted
        rust.relay.cut()
        asked += [rust.increment() for _ in range(25)]
        eventually("it dials again", lambda: rust.relay.accepted > accepted)
        if cut % 2:
            asked[-1].result(10)
    assert [each.result(10)["value"] for each in asked] == list(range(1, 401))
    rust.stayed(400)


@pytest.mark.covers("W18")
def test_a_rust_agent_whose_connection_stalls(rust: RustCut) -> None:
    """It hears no pong, dials again, and serves on: nothing moves, nothing runs twice."""
    rust.relay.stall(UP, DOWN)
    asked = [rust.increment() for _ in range(5)]
    accepted = rust.relay.accepted
    eventually("it dials again", lambda: rust.relay.accepted > accepted, 5)
    rust.relay.flow()
    assert [each.result(5)["value"] for each in asked] == [1, 2, 3, 4, 5]
    rust.stayed(5)


@pytest.mark.covers("W17", "W18")
def test_a_rust_agent_that_is_back_after_the_grace(peers: Peers, programs: Programs) -> None:
    """Its container is elsewhere, empty; its own copy ends and answers nobody."""
    network = programs.network()
    rust = RustCut(peers, programs, network)
    other = programs.agent(network)
    assert rust.increment().result(5) == {"value": 1}
    rust.relay.shut()
    eventually("suspicion", lambda: suspected(rust.network))
    held = rust.increment()
    eventually("it moves", lambda: other.id in rust.client.endpoints[rust.uuid], 5)
    assert held.result(5) == {"value": 1}
    rust.relay.open()
    eventually(
        "its copy ends",
        lambda: rust.agent.metric("huly_agent_containers", kind="counter") == 0,
    )
    assert rust.increment().result(5) == {"value": 2}
    assert moves(rust.client, rust.uuid) == [other.id]
