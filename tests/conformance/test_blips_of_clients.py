"""Clients whose connection is cut and comes back: what they hold stays theirs, answers come, once.

soundness.md, sessions. The original's clients react only to a new uuid in hello, so one is due whenever
anything may have been lost with the old connection.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Peers, Programs
from peers import TypeScriptClient
from programs import Agent, Network
from raw import Raw, rust_hello
from relay import DOWN, UP
from wire import REMOVED, UPDATED, eventually, fresh


def answered_once(client: TypeScriptClient) -> bool:
    return all(client.answers[id] == 1 for id in client.ids("cs"))


@pytest.mark.covers("W04", "W21")
@pytest.mark.parametrize("lost", [UP, DOWN], ids=["request lost", "answer lost"])
def test_a_request_in_a_cut_connection(
    lost: str, peers: Peers, network: Network, agent: Agent
) -> None:
    """A request or its answer went with the connection: a fresh uuid, one answer, run once."""
    relay = peers.relay(network)
    client = peers.client(relay)
    uuid, _ = client.get("counter", {"uuid": fresh("counter")})
    relay.lose(lost)
    asked = client.start("cs", [uuid, "increment", None])
    [id] = client.ids("cs")
    eventually("it is lost", lambda: relay.has_lost(lost, id))
    relay.cut()
    assert asked.result(5) == {"value": 1}
    assert client.hellos[0] != client.hellos[1] and len(client.hellos) == 2
    assert client.request(uuid, "value") == {"value": 1}
    assert answered_once(client)


@pytest.mark.covers("W04", "W05", "W21")
def test_a_request_that_runs_while_the_connection_is_cut(peers: Peers, network: Network) -> None:
    """It is sent again as the uuid is new, not run again, and answered over the new connection."""
    kind, uuid = fresh("kind"), fresh("room")
    agent, relay = peers.agent(network, [kind]), peers.relay(network)
    client = peers.client(relay)
    client.get(kind, {"uuid": uuid})
    asked = client.start("cs", [uuid, "wait", None])
    waiting = agent.containers[uuid].waiting
    eventually("it runs", lambda: waiting)
    relay.cut()
    eventually("the client is back", lambda: len(client.sessions) == 2)
    # What it sent again has been read before this.
    client.request(uuid, "echo")
    waiting[0].set_result("done")
    assert asked.result(5) == "done"
    assert [operation for operation, _ in agent.containers[uuid].calls] == ["wait", "echo"]
    assert answered_once(client)


@pytest.mark.covers("W04", "W21")
def test_an_answer_while_the_client_is_away(peers: Peers, network: Network) -> None:
    """What is answered between the cut and the next hello reaches the client all the same."""
    kind, uuid = fresh("kind"), fresh("room")
    agent, relay = peers.agent(network, [kind]), peers.relay(network)
    client = peers.client(relay)
    client.get(kind, {"uuid": uuid})
    asked = client.start("cs", [uuid, "wait", None])
    waiting = agent.containers[uuid].waiting
    eventually("it runs", lambda: waiting)
    relay.shut()
    waiting[0].set_result("done")
    # The server has read the answer: it is read in order with this one's registration.
    agent.client.register(agent).result(5)
    relay.open()
    # With a TypeScript agent a resend may run again (soundness.md, requests).
    eventually("answered or run again", lambda: asked.done() or len(waiting) == 2)
    for again in waiting[1:]:
        again.set_result("done")
    assert asked.result(5) == "done"
    assert answered_once(client)


@pytest.mark.covers("W04", "W14", "W21", "method gg client → server")
@pytest.mark.parametrize("lost", [UP, DOWN], ids=["request lost", "answer lost"])
def test_a_get_in_a_cut_connection(lost: str, peers: Peers, network: Network) -> None:
    """A get without uuid is answered with one container, and makes no second one."""
    kind = fresh("kind")
    agent, relay = peers.agent(network, [kind]), peers.relay(network)
    client = peers.client(relay)
    relay.lose(lost)
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(client.get, kind)
        eventually(
            "it is lost",
            lambda: client.ids("gg") and relay.has_lost(lost, client.ids("gg")[0]),
        )
        relay.cut()
        uuid, _ = got.result(5)
    assert list(agent.containers) == [uuid]
    assert client.request(uuid, "echo")["n"] == 1


@pytest.mark.covers("W16", "W21", "method cr client → server")
def test_a_release_in_a_cut_connection(peers: Peers, network: Network) -> None:
    """A release whose answer is lost is said again; the container ends, others stay held."""
    kind, uuid, kept = fresh("kind"), fresh("room"), fresh("room")
    agent, relay = peers.agent(network, [kind]), peers.relay(network)
    client = peers.client(relay)
    for each in (uuid, kept):
        client.get(kind, {"uuid": each})
    relay.lose(DOWN)
    with ThreadPoolExecutor(1) as pool:
        released = pool.submit(client.release, uuid)
        eventually(
            "the answer is lost",
            lambda: client.ids("cr") and relay.has_lost(DOWN, client.ids("cr")[0]),
        )
        relay.cut()
        assert released.result(5) == "ok"
    eventually("it ends", lambda: agent.terminated == [uuid], 9)
    assert client.request(kept, "echo")["n"] == 1


@pytest.mark.covers("W08", "W16", "W21")
@pytest.mark.parametrize("how", ["cut", "away too long", "silent too long"])
def test_references_are_held_again(how: str, peers: Peers, programs: Programs) -> None:
    """Back before its session ends or after: it holds what it held, with a new uuid in hello."""
    network = programs.network()
    kind, uuid, idle = fresh("kind"), fresh("room"), fresh("room")
    agent, relay = peers.agent(network, [kind]), peers.relay(network)
    other = peers.client(network)
    client = peers.client(relay, alive_timeout=1)
    client.get(kind, {"uuid": uuid})
    nameless, _ = client.get(kind)
    client.request(uuid, "echo")
    session, sessions = client.server, "huly_network_client_sessions"
    before = network.metric(sessions)
    if how == "cut":
        relay.cut()
    elif how == "away too long":
        relay.shut()
        eventually("the session ends", lambda: network.metric(sessions) == before - 1, 3)
        relay.open()
    else:
        relay.stall(UP, DOWN)
        eventually("the session ends", lambda: network.metric(sessions) == before - 1, 3)
        relay.flow()
    # Pings that it sent while it was away may come before its hello: it is asked for another then.
    eventually("a new uuid", lambda: client.server not in (None, session))
    assert client.request(uuid, "echo")["n"] == 2
    # What nobody holds ends meanwhile.
    other.get(kind, {"uuid": idle})
    other.release(idle)
    eventually("the idle one ends", lambda: agent.terminated, 9)
    assert agent.terminated == [idle]
    assert client.request(uuid, "echo")["n"] == 3
    assert client.request(nameless, "echo")["n"] == 1


@pytest.mark.covers("W04")
def test_the_late_end_of_an_old_connection(peers: Peers, network: Network, agent: Agent) -> None:
    """The server sees the end of the old connection long after the new one: nothing ends by it."""
    relay = peers.relay(network)
    client = peers.client(relay)
    uuid, _ = client.get("counter", {"uuid": fresh("counter")})
    relay.cut(program_sees_it=False)
    eventually("the client is back", lambda: len(client.sessions) == 2)
    assert client.request(uuid, "increment") == {"value": 1}
    hellos, pongs = len(client.hellos), client.pongs
    relay.bury()
    eventually("it has pinged twice", lambda: client.pongs >= pongs + 2)
    assert client.request(uuid, "increment") == {"value": 2}
    assert len(client.hellos) == hellos and len(client.sessions) == 2


@pytest.mark.covers("W08")
def test_a_stall_is_no_end(peers: Peers, network: Network, agent: Agent) -> None:
    """Bytes that wait for less than the aliveTimeout cost nothing: not even another hello."""
    relay = peers.relay(network)
    client = peers.client(relay, alive_timeout=6)
    uuid, _ = client.get("counter", {"uuid": fresh("counter")})
    relay.stall(UP, DOWN)
    asked = [client.start("cs", [uuid, "increment", None]) for _ in range(10)]
    # Its pings wait as well; those of another client count two seconds.
    other = peers.client(network)
    eventually("some time", lambda: other.pongs == 2)
    assert not any(each.done() for each in asked)
    relay.flow()
    assert [each.result(5)["value"] for each in asked] == list(range(1, 11))
    assert len(client.hellos) == 1 and answered_once(client)


@pytest.mark.covers("W06", "W07", "W21", "W29", "frame 7 retry server", "frame 9 askHello server")
def test_requests_of_who_was_silent_too_long(peers: Peers, programs: Programs) -> None:
    """They come before the hello that the client is asked for: retry, and in the end an answer."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    agent, relay = peers.agent(network, [kind]), peers.relay(network)
    client = peers.client(relay, alive_timeout=1)
    client.get(kind, {"uuid": uuid})
    sessions = "huly_network_client_sessions"
    before = network.metric(sessions)
    relay.stall(UP)
    asked = [client.start("cs", [uuid, "echo", number]) for number in range(3)]
    eventually("the session ends", lambda: network.metric(sessions) == before - 1, 3)
    relay.flow()
    assert [each.result(5)["data"] for each in asked] == [0, 1, 2]
    assert client.retries >= 3 and client.asked_hello >= 1
    assert len(agent.containers[uuid].calls) == 3


@pytest.mark.covers("W11", "W18", "W25")
def test_a_move_while_the_client_is_away(peers: Peers, programs: Programs) -> None:
    """`updated` went to nobody: the client learns by it where the container is, all the same."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    agents = {agent.id: agent for agent in (peers.agent(network, [kind]) for _ in range(2))}
    relay = peers.relay(network)
    client, watcher = peers.client(relay), peers.client(network)
    _, endpoint = client.get(kind, {"uuid": uuid})
    lost = agents.pop(json.loads(endpoint)["agentId"])
    [left] = agents.values()
    relay.lose(DOWN)
    lost.client.drop()
    eventually(
        "it moves",
        lambda: [event for event, _ in watcher.container_events(uuid)][-1:] == [UPDATED],
    )
    eventually("the event is lost", lambda: relay.has_lost(DOWN, left.id))
    relay.cut()
    eventually("updated", lambda: client.endpoints.get(uuid) == left.endpoint_of(uuid), 5)
    assert client.request(uuid, "echo")["n"] == 1
    assert REMOVED not in [event for event, _ in client.container_events(uuid)]


@pytest.mark.covers("W04", "W18", "W25")
def test_a_move_while_the_server_is_away(peers: Peers, programs: Programs) -> None:
    """The server and the container's agent are gone together: who held it learns where it is now."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    agents = {agent.id: agent for agent in (peers.agent(network, [kind]) for _ in range(2))}
    client = peers.client(network)
    _, endpoint = client.get(kind, {"uuid": uuid})
    network.kill()
    agents.pop(json.loads(endpoint)["agentId"]).client.drop()
    network.start()
    [left] = agents.values()
    eventually("it is placed again", lambda: uuid in left.containers)
    eventually("updated", lambda: client.endpoints.get(uuid) == left.endpoint_of(uuid), 5)
    assert client.request(uuid, "echo")["n"] == 1


@pytest.mark.covers("W04", "W05", "W21")
def test_one_cut_after_another(peers: Peers, network: Network, agent: Agent) -> None:
    """Clients ask without end while their connections are cut: each request runs once, and its
    answer comes. (Twice at times: what is asked just before a hello is sent again after it, W21.)
    """
    relays = [peers.relay(network) for _ in range(3)]
    clients = [peers.client(relay) for relay in relays]
    uuid = fresh("counter")
    for client in clients:
        client.get("counter", {"uuid": uuid})
    asked = []
    for cut in range(12):
        asked += [
            client.start("cs", [uuid, "increment", None]) for client in clients for _ in range(20)
        ]
        relay, client = relays[cut % 3], clients[cut % 3]
        hellos = len(client.hellos)
        relay.cut()
        eventually("it is back", lambda: len(client.hellos) > hellos)
    values = [each.result(10)["value"] for each in asked]
    assert sorted(values) == list(range(1, len(asked) + 1))


@pytest.mark.covers("W05", "frame 0 hello server")
@pytest.mark.parametrize("lost", [UP, DOWN], ids=["request lost", "answer lost"])
def test_a_rust_client_in_a_cut_connection(
    lost: str, peers: Peers, network: Network, agent: Agent
) -> None:
    """What the client sends again under its id is run once and answered; that an answer may be
    lost is told by a fresh uuid.
    """
    relay, huly = peers.relay(network), rust_hello()
    first = peers.raw(relay.address)
    session = first.hello(huly=huly).id
    uuid = fresh("counter")
    first.call("gg", {"kind": "counter", "request": {"uuid": uuid}})
    relay.lose(lost)
    id = first.ask("cs", [uuid, "increment", None])
    eventually("it is lost", lambda: relay.has_lost(lost, id))
    first.drop()
    relay.cut()
    second = peers.raw(relay.address, client_id=first.client_id)
    assert second.hello(huly=huly).id != session
    second.ask("cs", [uuid, "increment", None], id)
    assert second.answer_to(id).json() == {"value": 1}
    assert second.call("cs", [uuid, "value", None]) == {"value": 1}
    assert id not in [frame.id for frame in second.seen]


@pytest.mark.covers("W04", "frame 0 hello server")
def test_a_rust_client_that_lost_nothing(peers: Peers, network: Network) -> None:
    """Its connection ended, and no answer with it: the session goes on under its uuid."""
    huly = rust_hello()
    first = peers.raw(network.address)
    session = first.hello(huly=huly).id
    first.round_trip()
    first.drop()
    second = peers.raw(network.address, client_id=first.client_id)
    assert second.hello(huly=huly).id == session


@pytest.mark.covers("W08", "frame 0 hello server")
def test_a_rust_client_that_was_away_too_long(peers: Peers, programs: Programs) -> None:
    """After its aliveTimeout the session has ended: the same process gets another uuid."""
    network = programs.network()
    huly = rust_hello()
    first: Raw = peers.raw(network.address)
    session = first.hello(alive_timeout=1, huly=huly).id
    first.drop()
    eventually(
        "the session ends", lambda: network.metric("huly_network_client_sessions") == 0, 4
    )
    second = peers.raw(network.address, client_id=first.client_id)
    assert second.hello(huly=huly).id != session
