"""Bytes that are not the protocol: an error answer, or counted and ignored; all others served on.

docs/protocol.md, "What is not the protocol". The same messages go to the network server and to the
stock agent's ROUTER.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import zmq

from conftest import Bystander, Peers
from programs import Agent, Network, Program
from raw import Raw, rust_hello
from wire import CONTEXT, ERROR, EVENT, HELLO, PONG, REQUEST, RESPONSE, RETRY, eventually, fresh

MEGABYTE = 1024 * 1024


@dataclass
class Target:
    """A program with a ROUTER, and what counts its bad messages."""

    program: Program
    address: str
    counter: str
    network: Network

    def counted(self) -> float:
        return self.program.metric(self.counter)


@pytest.fixture(params=["network", "agent"])
def target(request: pytest.FixtureRequest, network: Network, agent: Agent) -> Target:
    if request.param == "network":
        return Target(network, network.address, "huly_network_bad_messages_total", network)
    return Target(agent, agent.address, "huly_agent_bad_messages_total", network)


@pytest.fixture(params=["known", "unknown"])
def hostile(request: pytest.FixtureRequest, peers: Peers, target: Target) -> Iterator[Raw]:
    """Who sends it: a peer that said hello, and one that did not."""
    raw = peers.raw(target.address)
    if request.param == "known":
        raw.hello()
    yield raw


UNREADABLE = {
    "op 10": [b"10", b"id", b"", b""],
    "op 255": [b"255", b"id", b"", b""],
    "op beyond 64 bits": [b"18446744073709551617", b"id", b"[]", b""],
    "op negative": [b"-1", b"id", b"", b""],
    "op signed": [b"+5", b"", b"", b""],
    "op with a point": [b"1.0", b"id", b'["ak",{}]', b""],
    "op with a blank": [b" 5", b"", b"", b""],
    "op in hexadecimal": [b"0x5", b"", b"", b""],
    "op in words": [b"hello", b"id", b"", b""],
    "op empty": [b"", b"id", b"", b""],
    "op not UTF-8": [b"\xff\xfe", b"id", b"", b""],
    "op of other digits": ["٥".encode(), b"", b"", b""],
    "op of 1 MB": [b"5" * MEGABYTE, b"", b"", b""],
    "one frame of op": [b"1"],
    "one empty frame": [b""],
    "one frame of rubbish": [bytes(range(256))],
    "request without an id": [b"1", b"", b'["ak",{}]', b""],
    "id not UTF-8": [b"1", b"\xc3\x28\xff\x00", b'["ak",{}]', b""],
    "id of 513 bytes": [b"1", b"i" * 513, b'["ak",{}]', b""],
    "id of 1 MB": [b"1", b"i" * MEGABYTE, b'["ak",{}]', b""],
}


@pytest.mark.covers("W02")
@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable(
    name: str, hostile: Raw, target: Target, bystander: Bystander
) -> None:
    """A message that cannot be read: counted, no answer that matches another request."""
    before = target.counted()
    hostile.send_parts(*UNREADABLE[name])
    # The connection is not ended: the same one is served.
    assert hostile.round_trip().op == PONG
    answers = [frame for frame in hostile.seen if frame.op in (RESPONSE, ERROR, RETRY)]
    assert all(frame.op in (ERROR, RETRY) for frame in answers), answers
    if not answers:
        eventually("it is counted", lambda: target.counted() > before, 5)
    bystander.check()


BAD_REQUESTS = {
    "empty": b"",
    "half of a JSON": b'["ak",{',
    "no JSON": b"\x00\x01\x02",
    "not UTF-8": b'["ak",{"kind":"\xff\xfe"}]',
    "a number": b"7",
    "a text": b'"ak"',
    "null": b"null",
    "an object": b'{"method":"ak","params":{}}',
    "an empty list": b"[]",
    "a method that is a number": b"[1,{}]",
    "a method that is a list": b'[["ak"],{}]',
    "an unknown method": b'["zz",{}]',
    "an empty method": b'["",{}]',
    "a method of 1 MB": b'["' + b"a" * MEGABYTE + b'",{}]',
    "rubbish after the JSON": b'["ak",{}]]',
    "two JSONs": b'["ak",{}]["ak",{}]',
    "nested 100,000 deep": b'["cl",' + b"[" * 100_000 + b"]" * 100_000 + b"]",
    "nested 100,000 deep, unclosed": b'["cl",' + b'{"a":' * 100_000,
    "NaN": b'["cl",NaN]',
}


@pytest.mark.covers("frame 1 request client", "frame 3 responseError server")
@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_request(
    name: str, peers: Peers, target: Target, bystander: Bystander
) -> None:
    """A request with an id that cannot be understood is answered with an error (badRequest)."""
    hostile = peers.raw(target.address)
    hostile.hello(huly=rust_hello())
    id = fresh("request")
    hostile.send_parts(b"1", id.encode(), BAD_REQUESTS[name], b"")
    answer = hostile.answer_to(id, within=5)
    assert answer.op == ERROR
    assert answer.json()["message"]
    assert answer.json().get("code") == "badRequest"
    bystander.check()


def wrong_params(methods: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(method, params) for method, all in methods.items() for params in all]


NEVER = ["null", "7", '"text"', "true", "[]", "[[[]]]", '[{"a":1}]']

TO_NETWORK = wrong_params(
    {
        "ar": [*NEVER, "{}", '{"uuid":7,"containers":[],"kinds":[]}']
        + ['{"uuid":"a","containers":{},"kinds":[]}']
        + ['{"uuid":"a","containers":[7],"kinds":[]}']
        + ['{"uuid":"a","containers":[{}],"kinds":[]}']
        + ['{"uuid":"a","containers":[],"kinds":"k"}']
        + ['{"uuid":"a","containers":[],"kinds":[null]}'],
        "au": [*NEVER, "{}", '{"uuid":null}', '{"uuid":["a"]}'],
        "gg": [*NEVER, "{}", '{"kind":7,"request":{}}', '{"kind":"echo","request":7}']
        + ['{"kind":"echo","request":{"uuid":7}}']
        + ['{"kind":"echo","request":{"labels":"a"}}']
        + ['{"kind":"echo","request":{"labels":[7]}}'],
        "cr": [*NEVER, "{}", '{"uuid":{}}'],
        "cs": ["null", "7", "{}", "[]", "[7]", '[7,"echo",1]', '["a",7,1]', '["a"]'],
        "ct": ["null", "{}", "[]"],
        "xr": [*NEVER, "{}", '{"gets":[7]}'],
        "ks": [*NEVER, "{}"],
        "kr": [*NEVER, "{}"],
        "xs": [*NEVER, "{}"],
    }
)

TO_AGENT = wrong_params(
    {
        "cc": [*NEVER, "{}", '{"uuid":7}', '{"uuid":[7]}', '{"uuid":{}}'],
        "cd": [*NEVER, "{}", '{"uuid":7}', '{"uuid":{}}'],
        "cs": ["null", "7", "{}", "[]", "[7]", '[7,"echo",1]', '["a",7,1]', '["a"]'],
        "gg": ["null", "{}", '["a",["echo",{}]]'],
        "ct": ["null", "{}", '["a",["b"]]'],
        "ar": ["null", "{}"],
    }
)


def check_wrong_params(hostile: Raw, method: str, params: str) -> None:
    id = fresh("request")
    hostile.send(REQUEST, id, f'["{method}",{params}]')
    answer = hostile.answer_to(id, within=5)
    assert answer.op == ERROR, answer
    assert isinstance(answer.json()["message"], str)


@pytest.mark.covers(
    "method ar client → server", "method au client → server", "method gg client → server",
    "method cr client → server", "method cs client → server", "method xr client → server",
    "method ks client → server", "method kr client → server", "method xs client → server",
)
@pytest.mark.parametrize(("method", "params"), TO_NETWORK)
def test_wrong_params_to_the_network(
    method: str, params: str, peers: Peers, network: Network, bystander: Bystander
) -> None:
    """Params that a method cannot take are answered with an error."""
    hostile = peers.raw(network.address)
    hostile.hello(huly=rust_hello())
    check_wrong_params(hostile, method, params)
    bystander.check()


@pytest.mark.covers(
    "method cc client → agent's ROUTER", "method cd client → agent's ROUTER",
    "method cs client → agent's ROUTER",
)
@pytest.mark.parametrize(("method", "params"), TO_AGENT)
def test_wrong_params_to_the_agent(
    method: str, params: str, peers: Peers, agent: Agent, bystander: Bystander
) -> None:
    """The same at an agent's ROUTER; what only its server may call, nobody may call there."""
    hostile = peers.raw(agent.address)
    hostile.hello()
    check_wrong_params(hostile, method, params)
    bystander.check()


HELLOS = {
    "no payload": b"",
    "no JSON": b"}{",
    "a list": b"[]",
    "negative aliveTimeout": b'{"aliveTimeout":-1}',
    "aliveTimeout beyond all": b'{"aliveTimeout":1e308}',
    "aliveTimeout no number": b'{"aliveTimeout":"3"}',
    "aliveTimeout null": b'{"aliveTimeout":null}',
    "huly a number": b'{"aliveTimeout":3,"huly":7}',
    "huly empty": b'{"aliveTimeout":3,"huly":{}}',
    "huly of types that are wrong": b'{"aliveTimeout":3,"huly":{"v":"1","nonce":7}}',
    "a term beyond all": b'{"aliveTimeout":3,"huly":{"v":1,"nonce":"n","features":[],"term":-1}}',
    "version 999": b'{"aliveTimeout":3,"huly":{"v":999,"nonce":"n","features":["x"],"term":0}}',
}


@pytest.mark.covers("frame 0 hello client")
@pytest.mark.parametrize("name", HELLOS)
def test_bad_hello(name: str, peers: Peers, target: Target, bystander: Bystander) -> None:
    """A hello that cannot be read harms nobody, and the same peer may say a good one."""
    hostile = peers.raw(target.address)
    hostile.send_parts(b"0", hostile.client_id.encode(), HELLOS[name], b"")
    hostile.round_trip()
    hostile.hello()
    bystander.check()


@pytest.mark.covers("frame 0 hello client")
@pytest.mark.parametrize("id", [b"", b"\xff\xfe", b"c" * 254, b"c" * MEGABYTE])
def test_hello_of_a_bad_client_id(
    id: bytes, peers: Peers, target: Target, bystander: Bystander
) -> None:
    """A client id that is empty, binary or longer than 253 bytes is no client id."""
    hostile = peers.raw(target.address)
    before = target.counted()
    hostile.send_parts(b"0", id, b'{"aliveTimeout":3}', b"")
    hostile.round_trip()
    assert HELLO not in [frame.op for frame in hostile.seen]
    eventually("it is counted", lambda: target.counted() > before, 5)
    bystander.check()


@pytest.mark.covers("frame 5 ping client", "frame 6 pong server")
def test_a_ping_that_is_no_number(hostile: Raw, target: Target, bystander: Bystander) -> None:
    """A pong repeats what a number has room in, and nothing that is longer."""
    for payload, repeated in [(b"9" * 32, "9" * 32), (b"9" * 33, ""), (b"\xff" * MEGABYTE, "")]:
        hostile.send_parts(b"5", b"", payload)
        assert hostile.expect("pong", lambda frame: frame.op == PONG).payload == repeated
    bystander.check()


@pytest.mark.covers("frame 2 response client", "frame 3 responseError client")
@pytest.mark.parametrize("op", [RESPONSE, ERROR])
@pytest.mark.parametrize("payload", [b"", b"{", b"null", b'{"message":7}', b'["a","b"]'])
def test_an_answer_nobody_asked_for(
    op: int, payload: bytes, hostile: Raw, target: Target, bystander: Bystander
) -> None:
    """Counted and ignored."""
    before = target.counted()
    hostile.send_parts(str(op).encode(), fresh("request").encode(), payload, b"")
    hostile.round_trip()
    eventually("it is counted", lambda: target.counted() > before, 5)
    assert {frame.op for frame in hostile.seen} <= {HELLO, EVENT, 9}
    bystander.check()


@pytest.mark.covers(
    "frame 4 event server", "frame 6 pong server", "frame 7 retry server",
    "frame 9 askHello server",
)
@pytest.mark.parametrize("op", [EVENT, PONG, RETRY, 9])
def test_what_only_servers_say(
    op: int, hostile: Raw, target: Target, bystander: Bystander
) -> None:
    """Ops of the other direction are no business of a ROUTER, whatever they carry."""
    for payload in (b"", b"7", b'{"agents":[],"containers":[]}'):
        hostile.send_parts(str(op).encode(), b"id", payload, b"")
    hostile.round_trip()
    assert {frame.op for frame in hostile.seen} <= {HELLO, EVENT, 9}
    bystander.check()


@pytest.mark.covers("frame 0 hello client", "frame 5 ping client")
def test_more_frames_than_four(peers: Peers, target: Target, bystander: Bystander) -> None:
    """What follows the third frame is ignored; a missing payload reads as empty."""
    raw = peers.raw(target.address)
    raw.send_parts(b"0", raw.client_id.encode(), b'{"aliveTimeout":60}', *[b"x"] * 40)
    raw.expect("hello", lambda frame: frame.op == HELLO)
    raw.send_parts(b"5", b"")
    raw.expect("pong", lambda frame: frame.op == PONG)
    bystander.check()


@pytest.mark.covers("W02")
def test_odd_texts_are_served(peers: Peers, network: Network, agent: Agent) -> None:
    """Texts that are unusual but text: they come out as they went in, by both routes."""
    client, direct = peers.client(network), peers.direct(agent)
    uuid = fresh('odd "uuid" \\ \u2028 \u0000 🐎')
    assert client.get("echo", {"uuid": uuid, "labels": ["", '"', "\u0007"]})[0] == uuid
    for value in ["\u0000", "\U0010ffff", "", {"": {"": []}}, "x" * MEGABYTE, 1e-300]:
        assert client.request(uuid, "echo", value) == value
        assert direct.request(uuid, "echo", value) == value


@pytest.mark.covers("W01")
@pytest.mark.xfail(strict=True, reason="a peer that names itself is taken at its word")
def test_a_name_of_its_own_displaces_nobody(target: Target) -> None:
    """W01: the ROUTER names each connection afresh; two peers of one name are two all the same."""
    sessions = {}
    with Raw(target.address) as first, Raw(target.address) as second:
        for raw in (first, second):
            raw.socket.close(linger=0)
            raw.socket = CONTEXT.socket(zmq.DEALER)
            raw.socket.linger = 0
            raw.socket.routing_id = b"the same"
            raw.socket.connect(target.address)
            sessions[raw] = raw.hello().id
        for raw, session in sessions.items():
            assert raw.round_trip(within=2).id == session


@pytest.mark.covers("W01")
def test_bytes_that_are_not_zmtp(target: Target, bystander: Bystander) -> None:
    """Whatever comes before a ZMTP handshake ends at most its own connection."""
    host, port = target.address.removeprefix("tcp://").split(":")
    greetings = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 64,
        b"\xff" * 64,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + b"\x00" * 48,
        b"",
    ]
    for greeting in greetings:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(greeting)
            bystander.check()
    bystander.check()


@pytest.mark.covers("W01")
def test_many_connections_come_and_go(
    peers: Peers, target: Target, bystander: Bystander
) -> None:
    """Peers that vanish in the middle of a request leave nothing that harms others."""
    for _ in range(50):
        with Raw(target.address) as raw:
            raw.hello(alive_timeout=1)
            raw.ask("cs", [bystander.uuid, "sleep", {"ms": 100}])
            raw.round_trip()
    bystander.check()


def test_still_the_same_processes(network: Network, agent: Agent) -> None:
    """After all of this: both run, are healthy, and have counted by reason."""
    for program, counter in [
        (network, "huly_network_bad_messages_total"),
        (agent, "huly_agent_bad_messages_total"),
    ]:
        assert program.running
        assert program.get("/livez")[0] == 200
        # The tests before may have had other processes: they run in parallel.
        with Raw(program.address) as raw:
            raw.hello()
            raw.send_parts(b"77")
            raw.round_trip()
        assert program.metric(counter) > 0
