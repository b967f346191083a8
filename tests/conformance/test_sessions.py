"""Client sessions on the network server: hello, ping, retry, silence, close, resending, restarts."""

import time

import pytest

from conftest import Peers, Programs
from programs import Network
from raw import Raw, rust_hello
from ts_agent import TypeScriptAgent
from wire import ASK_HELLO, HELLO, PING, PONG, RESPONSE, RETRY, PeerError
from wire import eventually, fresh, is_uuid


@pytest.mark.covers("W04", "frame 0 hello client", "frame 0 hello server")
def test_hello(peers: Peers, network: Network) -> None:
    """W04: hello is answered with a uuid; said again on the same connection, with the same one."""
    raw = peers.raw(network.address)
    first = raw.hello()
    assert is_uuid(first.id) and first.payload == ""
    assert raw.hello().id == first.id


@pytest.mark.covers("W04", "frame 0 hello server")
def test_sessions_are_told_apart(peers: Peers, network: Network) -> None:
    """soundness.md, sessions: the uuid in hello belongs to the session, not to the server."""
    assert peers.raw(network.address).hello().id != peers.raw(network.address).hello().id


@pytest.mark.covers("W04", "frame 0 hello server")
def test_a_rust_session_goes_on_over_a_new_connection(
    peers: Peers, network: Network
) -> None:
    """soundness.md, sessions: the same client id and nonce continue it, with the same uuid."""
    first = peers.raw(network.address)
    huly = rust_hello()
    session = first.hello(huly=huly).id
    first.round_trip()
    second = peers.raw(network.address, client_id=first.client_id)
    assert second.hello(huly=huly).id == session
    # The late end of the connection that was superseded does not end the session.
    first.drop()
    assert second.round_trip().id == session
    assert second.call("ak", {}) == second.call("ak", {})


@pytest.mark.covers("W04", "frame 0 hello server")
def test_a_new_nonce_is_a_new_incarnation(peers: Peers, network: Network) -> None:
    """soundness.md, sessions: another process under the same client id gets another uuid."""
    first = peers.raw(network.address)
    session = first.hello(huly=rust_hello()).id
    second = peers.raw(network.address, client_id=first.client_id)
    assert second.hello(huly=rust_hello()).id != session


@pytest.mark.covers("W07", "frame 5 ping client", "frame 6 pong server")
def test_ping(peers: Peers, network: Network) -> None:
    """W07: a pong with the uuid of hello, and no askHello to who is known."""
    raw = peers.raw(network.address)
    session = raw.hello().id
    assert raw.round_trip().id == session
    assert raw.round_trip().payload == ""
    assert ASK_HELLO not in [frame.op for frame in raw.seen]


@pytest.mark.covers("W07", "frame 5 ping client", "frame 6 pong server", "frame 9 askHello server")
def test_ping_of_an_unknown_peer(peers: Peers, network: Network) -> None:
    """W07: pong and askHello, as recorded."""
    raw = peers.raw(network.address)
    raw.send(PING)
    ops = {raw.receive(5).op, raw.receive(5).op}
    assert ops == {PONG, ASK_HELLO}


@pytest.mark.covers("W07", "frame 9 askHello server")
def test_ask_hello_is_followed_by_service(peers: Peers, network: Network) -> None:
    """W07: after askHello and hello the peer is known."""
    raw = peers.raw(network.address)
    raw.send(PING)
    raw.expect("askHello", lambda frame: frame.op == ASK_HELLO)
    raw.hello()
    assert isinstance(raw.call("al", {}), list)


@pytest.mark.covers("W06", "frame 7 retry server")
def test_request_of_an_unknown_peer(peers: Peers, network: Network) -> None:
    """W06: retry with 1; the same request sent again after hello is answered."""
    raw = peers.raw(network.address)
    id = raw.ask("ak", {})
    answer = raw.answer_to(id)
    assert (answer.op, answer.payload) == (RETRY, "1")
    raw.hello()
    raw.ask("ak", {}, id)
    assert raw.answer_to(id).op == RESPONSE


@pytest.mark.covers("W05", "frame 1 request client")
def test_a_resend_runs_once(peers: Peers, network: Network) -> None:
    """W05: a request id that is in flight is dropped."""
    agent, uuid, raw = held_by_raw(peers, network)
    id = raw.ask("cs", [uuid, "wait", None])
    eventually("it runs", lambda: agent.containers[uuid].waiting)
    for _ in range(3):
        raw.ask("cs", [uuid, "wait", None], id)
    # All of one connection are read in order: after this one the resends have been read.
    raw.call("cs", [uuid, "echo", None])
    agent.containers[uuid].waiting[0].set_result("done")
    assert raw.answer_to(id).json() == "done"
    assert [op for op, _ in agent.containers[uuid].calls] == ["wait", "echo"]
    raw.round_trip()
    assert id not in [frame.id for frame in raw.seen]


@pytest.mark.covers("W05")
def test_a_resend_over_a_new_connection_runs_once(peers: Peers, network: Network) -> None:
    """W05, soundness.md: the answer goes to the connection of the day."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    huly = rust_hello()
    first = peers.raw(network.address)
    first.hello(huly=huly)
    first.call("gg", {"kind": kind, "request": {"uuid": uuid}})
    id = first.ask("cs", [uuid, "wait", None])
    eventually("it runs", lambda: agent.containers[uuid].waiting)
    first.drop()
    second = peers.raw(network.address, client_id=first.client_id)
    second.hello(huly=huly)
    second.ask("cs", [uuid, "wait", None], id)
    second.call("cs", [uuid, "echo", None])
    agent.containers[uuid].waiting[0].set_result("done")
    assert second.answer_to(id).json() == "done"
    assert [op for op, _ in agent.containers[uuid].calls] == ["wait", "echo"]


@pytest.mark.covers("W06", "frame 7 retry server")
def test_the_limit_of_requests(peers: Peers, programs: Programs) -> None:
    """W06, soundness.md: 1,024 in flight; over the limit retry, to TypeScript peers always 1."""
    network = programs.network(requests_in_flight=1024)
    agent, uuid, raw = held_by_raw(peers, network)
    asked = [raw.ask("cs", [uuid, "wait", None]) for _ in range(1024)]
    waiting = agent.containers[uuid].waiting
    eventually("all are running", lambda: len(waiting) == 1024)
    over = raw.ask("cs", [uuid, "echo", None])
    answer = raw.answer_to(over)
    assert (answer.op, answer.payload) == (RETRY, "1")
    for each in list(waiting):
        each.set_result(1)
    for each in asked:
        assert raw.answer_to(each).op == RESPONSE
    raw.ask("cs", [uuid, "echo", None], over)
    assert raw.answer_to(over).op == RESPONSE


@pytest.mark.covers("W08", "W16")
def test_silence(peers: Peers, network: Network) -> None:
    """W08: who is silent for its aliveTimeout is forgotten; its references end (W16)."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    raw = peers.raw(network.address)
    session = raw.hello(alive_timeout=1).id
    raw.call("gg", {"kind": kind, "request": {"uuid": uuid}})
    last = time.monotonic()
    eventually("ct arrives", lambda: agent.calls_of("ct") == [[uuid]], 10)
    assert time.monotonic() - last > 1 + 4
    raw.ask("ak", {}, "after")
    assert raw.answer_to("after").op == RETRY
    assert raw.hello(alive_timeout=1).id != session


@pytest.mark.covers("W07", "W08", "frame 5 ping client")
def test_pings_keep_it(peers: Peers, network: Network) -> None:
    """W07, W08: a client that only pings is not forgotten, nor is what it holds."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    holder, other = peers.client(network), peers.client(network)
    holder.get(kind, {"uuid": uuid})
    other_uuid, _ = other.get(kind, {"uuid": fresh("room")})
    other.release(other_uuid)
    eventually("the other one is ended", lambda: agent.calls_of("ct") == [[other_uuid]], 9)
    eventually("it has pinged", lambda: holder.pongs >= 4)
    assert holder.asked_hello == 0 and len(holder.sessions) == 1
    assert holder.request(uuid, "echo")["n"] == 1


@pytest.mark.covers("W08", "W16", "frame 8 close client")
def test_close_releases_at_once(peers: Peers, network: Network) -> None:
    """W08, W16: close drops the references without waiting for the aliveTimeout."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    raw = peers.raw(network.address)
    raw.hello(alive_timeout=60)
    raw.call("gg", {"kind": kind, "request": {"uuid": uuid}})
    raw.close()
    closed = time.monotonic()
    eventually("ct arrives", lambda: agent.calls_of("ct") == [[uuid]], 9)
    assert time.monotonic() - closed > 4


@pytest.mark.covers("W06", "W08", "frame 8 close client", "frame 7 retry server")
def test_after_close_it_is_unknown(peers: Peers, network: Network) -> None:
    """W06, W08: a request after close is answered with retry."""
    raw = peers.raw(network.address)
    raw.hello()
    raw.close()
    id = raw.ask("ak", {})
    assert raw.answer_to(id).op == RETRY


@pytest.mark.covers("W16", "frame 8 close client")
def test_close_of_one_leaves_the_other(peers: Peers, network: Network) -> None:
    """W16: a second holder's reference keeps the container when the first closes."""
    kind, uuid, gone = fresh("kind"), fresh("room"), fresh("room")
    agent = peers.agent(network, [kind])
    one, other = peers.client(network), peers.client(network)
    for each in (uuid, gone):
        one.get(kind, {"uuid": each})
    other.get(kind, {"uuid": uuid})
    one.close()
    eventually("the unheld one is ended", lambda: agent.calls_of("ct") == [[gone]], 9)
    assert other.request(uuid, "echo")["n"] == 1
    assert agent.terminated == [gone]


@pytest.mark.covers("W16")
def test_the_idle_end_is_called_off(peers: Peers, network: Network) -> None:
    """W16: a container that is got again before its end lives on."""
    kind, uuid, gone = fresh("kind"), fresh("room"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    for each in (uuid, gone):
        client.get(kind, {"uuid": each})
        client.release(each)
    client.get(kind, {"uuid": uuid})
    eventually("the unheld one is ended", lambda: agent.calls_of("ct") == [[gone]], 9)
    assert client.request(uuid, "echo")["n"] == 1
    assert len(agent.calls_of("gg")) == 2


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


def held_by_raw(peers: Peers, network: Network) -> tuple[TypeScriptAgent, str, Raw]:
    """A container of a TypeScript agent, held by a raw peer."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    raw = peers.raw(network.address)
    assert raw.hello().op == HELLO
    raw.call("gg", {"kind": kind, "request": {"uuid": uuid}})
    return agent, uuid, raw


@pytest.mark.covers("frame 3 responseError server")
def test_an_error_of_a_call_names_no_extension(peers: Peers, network: Network) -> None:
    """docs/protocol.md, errors: TypeScript peers get message and stack alone."""
    raw = peers.raw(network.address)
    raw.hello()
    with pytest.raises(PeerError) as raised:
        raw.call("gg", {"kind": fresh("nobody"), "request": {}})
    assert set(raised.value.payload) == {"message", "stack"}
