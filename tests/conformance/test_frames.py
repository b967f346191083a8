"""Frames and their edges: what is missing, what is too much, who is not known, and when."""

import socket
import subprocess
import time
from typing import Any

import pytest

from conftest import Peers, Programs
from programs import BIN, Agent, Network
from raw import rust_hello
from wire import ASK_HELLO, ERROR, HELLO, PING, PONG, REQUEST, RESPONSE, RETRY
from wire import eventually, fresh, is_uuid, text

SESSIONS = "huly_network_client_sessions"


@pytest.mark.covers("W01")
def test_the_handshake(network: Network, agent: Agent) -> None:
    """ZMTP 3.x with NULL: the greeting of both programs says so."""
    for program in (network, agent):
        host, port = program.host.split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
            )
            heard = b""
            while len(heard) < 64:
                heard += connection.recv(64 - len(heard))
        assert (heard[0], heard[9], heard[10]) == (0xFF, 0x7F, 3)
        assert heard[12:32].rstrip(b"\0") == b"NULL"


@pytest.mark.covers("W02")
@pytest.mark.parametrize(("binary", "port"), [("huly-network", 3737), ("huly-agent", 3738)])
def test_default_ports(binary: str, port: int) -> None:
    done = subprocess.run([BIN / binary, "--help"], capture_output=True, text=True, timeout=10)
    assert f"[default: 0.0.0.0:{port}]" in done.stdout


FRAMES_AFTER = {"none": [], "the empty one": [b""], "some": [b"", b"x", b"\xff", b"{}"]}


@pytest.mark.covers(
    "W02", "frame 0 hello client", "frame 1 request client", "frame 2 response client",
    "frame 5 ping client",
)
@pytest.mark.parametrize("after", FRAMES_AFTER)
def test_frames_after_the_third(after: str, peers: Peers, network: Network) -> None:
    """They are ignored, and need not be there, in what any side sends."""
    rest = FRAMES_AFTER[after]
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register()
    raw = peers.raw(network.address)
    raw.send_parts(b"0", raw.client_id.encode(), b'{"aliveTimeout":60}', *rest)
    raw.expect("hello", lambda frame: frame.op == HELLO)
    get = text(["gg", {"kind": kind, "request": {"uuid": uuid}}])
    raw.send_parts(b"1", b"get", get.encode(), *rest)
    call, _ = agent.called("gg")
    answer = text([uuid, agent.endpoint(uuid)])
    agent.raw.send_parts(b"2", call.id.encode(), answer.encode(), *rest)
    assert raw.answer_to("get").payload == answer
    raw.send_parts(b"5", b"", b"", *rest)
    raw.expect("pong", lambda frame: frame.op == PONG)


@pytest.mark.covers(
    "frame 0 hello client", "frame 1 request client", "frame 5 ping client", "frame 8 close client"
)
def test_a_missing_payload_reads_as_empty(peers: Peers, network: Network) -> None:
    raw = peers.raw(network.address)
    raw.send_parts(b"5", b"")
    raw.expect("pong", lambda frame: frame.op == PONG)
    raw.hello()
    raw.send_parts(b"1", b"asked")
    assert raw.answer_to("asked").op == ERROR
    raw.send_parts(b"5", b"")
    assert raw.expect("pong", lambda frame: frame.op == PONG).payload == ""
    raw.send_parts(b"8", b"")
    assert raw.answer_to(raw.ask("ak", {})).op == RETRY


@pytest.mark.covers("W07", "frame 5 ping client", "frame 6 pong server")
@pytest.mark.parametrize("rust", [False, True], ids=["plain", "rust"])
@pytest.mark.parametrize("payload", ["", "0", "4503599627370496"])
def test_pong_repeats_what_ping_said(
    payload: str, rust: bool, peers: Peers, network: Network
) -> None:
    """With the uuid of the session, in the order of the pings."""
    raw = peers.raw(network.address)
    session = raw.hello(huly=rust_hello() if rust else None).id
    for _ in range(3):
        raw.send(PING, "", payload)
    raw.ask("ak", {}, "after")
    pongs = [raw.expect("pong", lambda frame: frame.op == PONG) for _ in range(3)]
    assert [(pong.id, pong.payload) for pong in pongs] == [(session, payload)] * 3


@pytest.mark.covers("W07", "frame 9 askHello server", "frame 6 pong server")
def test_ask_hello_says_which_server(peers: Peers, network: Network) -> None:
    """The instance's uuid: one that no session has; each ping of an unknown peer is answered so."""
    known = peers.raw(network.address)
    instance = known.hello(huly=rust_hello()).json()["instance"]
    raw = peers.raw(network.address)
    for _ in range(2):
        raw.send(PING)
        asked = raw.expect("askHello", lambda frame: frame.op == ASK_HELLO)
        assert (asked.id, asked.payload) == (instance, "")
    assert [frame.op for frame in raw.seen].count(PONG) >= 1
    assert is_uuid(instance) and instance != known.round_trip().id
    raw.hello()
    raw.round_trip()
    raw.round_trip()
    assert [frame.op for frame in raw.seen].count(ASK_HELLO) == 0


@pytest.mark.covers("W06", "frame 7 retry server", "frame 8 close client")
def test_nothing_of_an_unknown_peer_runs(peers: Peers, network: Network) -> None:
    """Each method is answered with retry 1; no agent is registered, no container made, no reference
    ended.
    """
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    holder = peers.client(network)
    holder.get(kind, {"uuid": uuid})
    raw = peers.raw(network.address)
    raw.close()
    asked = [
        raw.ask("ar", {"uuid": fresh("agent"), "containers": [], "kinds": [fresh("other")]}),
        raw.ask("au", {"uuid": agent.id}),
        raw.ask("gg", {"kind": kind, "request": {"uuid": fresh("room")}}),
        raw.ask("cr", {"uuid": uuid}),
        raw.ask("cs", [uuid, "echo", None]),
        raw.ask("al", {}),
        raw.ask("zz", {}),
    ]
    for id in asked:
        answer = raw.answer_to(id)
        assert (answer.op, answer.payload) == (RETRY, "1")
    assert list(agent.containers) == [uuid]
    assert agent.containers[uuid].calls == []
    assert kind in holder.call("ak", {})
    assert holder.request(uuid, "echo")["n"] == 1


@pytest.mark.covers("W05", "frame 1 request client", "method gg client → server")
def test_a_get_in_flight_is_dropped(peers: Peers, network: Network) -> None:
    """The same id again, of whatever content: one call, one answer."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register()
    raw = peers.raw(network.address)
    raw.hello()
    for _ in range(3):
        raw.ask("gg", {"kind": kind, "request": {"uuid": uuid}}, "same")
    raw.ask("ak", {}, "same")
    # All of it has come before the agent answers.
    raw.round_trip()
    agent.start()
    assert raw.answer_to("same").json() == [uuid, agent.endpoint(uuid)]
    raw.round_trip()
    assert [frame.id for frame in raw.seen].count("same") == 0
    agent.not_called("gg")


@pytest.mark.covers("W05", "method cs client → server")
def test_an_id_of_two_clients_in_flight(peers: Peers, network: Network) -> None:
    """A request id is its sender's: both run, each gets its own answer."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register(agent.record(uuid))
    raws = [peers.raw(network.address) for _ in range(2)]
    calls = []
    for number, raw in enumerate(raws):
        raw.hello()
        raw.ask("cs", [uuid, "echo", number], "same")
        call, params = agent.called("cs")
        assert params == [uuid, "echo", number]
        calls.append(call)
    assert calls[0].id != calls[1].id
    for number, call in reversed(list(enumerate(calls))):
        agent.answer(call, f"to {number}")
    assert [raw.answer_to("same").json() for raw in raws] == ["to 0", "to 1"]


@pytest.mark.covers("W08", "W09", "frame 0 hello client")
def test_each_has_its_own_alive_timeout(programs: Programs, peers: Peers) -> None:
    """Seconds, fractions too, from the hello of each; 3 where it says none (W09)."""
    network = programs.network()
    said = {0.5: '{"aliveTimeout":0.5}', 2: '{"aliveTimeout":2}', 3: "{}"}
    raws = {timeout: peers.raw(network.address) for timeout in said}
    for timeout, payload in said.items():
        raws[timeout].send(HELLO, raws[timeout].client_id, payload)
        raws[timeout].expect("hello", lambda frame: frame.op == HELLO)
    began = time.monotonic()
    assert network.metric(SESSIONS) == 3
    for left, timeout in zip((2, 1, 0), said, strict=True):
        eventually(f"{left} are left", lambda left=left: network.metric(SESSIONS) == left, 5)
        took = time.monotonic() - began
        assert timeout - 0.2 < took < timeout + 1, f"{timeout} took {took}"
    for raw in raws.values():
        assert raw.answer_to(raw.ask("ak", {})).op == RETRY


@pytest.mark.covers("W08")
@pytest.mark.parametrize("op", [PING, REQUEST, HELLO, RESPONSE])
def test_whatever_is_heard_keeps_a_client(op: int, peers: Peers, programs: Programs) -> None:
    """Not heard from means nothing at all: any frame of it counts."""
    network = programs.network()
    raw = peers.raw(network.address)
    raw.hello(alive_timeout=0.8)
    began = time.monotonic()
    while time.monotonic() < began + 2:
        if op == HELLO:
            raw.hello(alive_timeout=0.8)
        elif op == REQUEST:
            raw.call("ak", {})
        elif op == RESPONSE:
            raw.send(RESPONSE, "nobody asked", "1")
        else:
            raw.round_trip()
        assert raw.receive(0.2) is None
    assert network.metric(SESSIONS) == 1
    assert ASK_HELLO not in [frame.op for frame in raw.seen]


@pytest.mark.covers("W08", "frame 8 close client")
def test_close_is_at_once(peers: Peers, programs: Programs) -> None:
    """Whatever its aliveTimeout; a second close, and a hello after it, are fine."""
    network = programs.network()
    raw = peers.raw(network.address)
    session = raw.hello(alive_timeout=600).id
    raw.close()
    eventually("the session has ended", lambda: network.metric(SESSIONS) == 0, 1)
    raw.close()
    assert raw.hello().id != session
    assert isinstance(raw.call("al", {}), list)


@pytest.mark.covers("W08", "W15")
def test_an_agent_goes_with_its_clients_close(peers: Peers, network: Network) -> None:
    """close ends what the client served, too: nobody serves the kind any more."""
    kind = fresh("kind")
    agent = peers.raw_agent(network, kind)
    agent.register()
    raw = peers.raw(network.address)
    raw.hello()
    assert kind in raw.call("ak", {})
    agent.raw.close()
    eventually("the kind is gone", lambda: kind not in raw.call("ak", {}), 3)
    answer = raw.answer_to(raw.ask("gg", {"kind": kind, "request": {}}))
    assert answer.op == ERROR
    assert answer.json()["message"].startswith(f"No suitable agents found for container {kind}")


MISSING: dict[str, dict[str, Any]] = {
    "missing": {},
    "null": {"uuid": None, "labels": None, "extra": None},
}


@pytest.mark.covers(
    "W09", "method gg client → server", "method cl client → server", "method ar client → server"
)
@pytest.mark.parametrize("members", MISSING)
def test_optional_members(members: str, peers: Peers, network: Network) -> None:
    """Missing and null are read alike, in a get, a registration, a record, a list."""
    kind, uuid = fresh("kind"), fresh("room")
    absent = MISSING[members]
    agent = peers.raw_agent(network, kind)
    record = agent.record(uuid, **{key: absent[key] for key in ("labels", "extra") if key in absent})
    registration = agent.registration(record)
    if not absent:
        del registration["endpoint"]
    assert agent.raw.call("ar", registration) == []
    raw = peers.raw(network.address)
    raw.hello()
    assert raw.call("gg", {"kind": kind, "request": {**absent, "uuid": uuid}})[0] == uuid
    got = raw.ask("gg", {"kind": kind, "request": {**absent, "labels": ["new"]}})
    made = agent.start()
    assert raw.answer_to(got).json()[0] == made
    for params in ({"kind": None}, {}):
        assert {uuid, made} <= {each["uuid"] for each in raw.call("cl", params)}
    assert {each["uuid"] for each in raw.call("cl", {"kind": kind})} == {uuid, made}
    [listed] = [each for each in raw.call("cl", {"kind": kind}) if each["uuid"] == uuid]
    assert listed.get("labels") in (None, []) and listed.get("extra") in (None, {})


@pytest.mark.covers("W09", "method cs client → server", "frame 3 responseError server")
def test_undefined_in_calls_and_answers(peers: Peers, network: Network) -> None:
    """No data is null for the container, null is an answer; an error may have no stack."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register(agent.record(uuid))
    raw = peers.raw(network.address)
    raw.hello()
    for params in ([uuid, "echo", None], [uuid, "echo"]):
        id = raw.ask("cs", params)
        call, got = agent.called("cs")
        assert got[:2] == [uuid, "echo"] and got[2:] in ([None], [])
        agent.answer(call, None)
        answer = raw.answer_to(id)
        assert (answer.op, answer.payload) == (RESPONSE, "null")
    for error in ({"message": "why"}, {"message": "why", "stack": None}):
        id = raw.ask("cs", [uuid, "echo", None])
        call, _ = agent.called("cs")
        agent.raw.send(ERROR, call.id, text(error))
        answer = raw.answer_to(id)
        assert answer.op == ERROR and answer.json()["message"] == "why"
        assert isinstance(answer.json()["stack"], str)


@pytest.mark.covers("W23", "frame 1 request server", "frame 2 response client")
def test_calls_back_of_two_servers(peers: Peers, programs: Programs) -> None:
    """An answer to a call of the server before a restart answers none of the server after it."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register(agent.record(uuid))
    caller = peers.raw(network.address)
    caller.hello()
    caller.ask("cs", [uuid, "before", None])
    old, _ = agent.called("cs")
    network.kill()
    network.start()
    for raw in (agent.raw, caller):
        raw.hello()  # libzmq has connected again by itself, or will.
    agent.register(agent.record(uuid))
    caller.ask("cs", [uuid, "after", None], "after")
    new, params = agent.called("cs")
    assert params == [uuid, "after", None]
    agent.answer(old, "old")
    agent.raw.round_trip()
    agent.answer(new, "new")
    assert caller.answer_to("after").json() == "new"
