"""Client sessions on the network server: hello, ping, retry, silence, close, resending."""

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
    raw.hello(alive_timeout=60)
    raw.call("gg", {"kind": kind, "request": {"uuid": uuid}})
    # From now on; it is the last that is heard of it.
    session = raw.hello(alive_timeout=1).id
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
