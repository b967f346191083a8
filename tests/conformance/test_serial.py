"""Serial kinds, and the chain of the containers that wait for a request, as docs/protocol.md states
them.
"""

import time

import pytest

from conftest import Peers, Programs
from programs import Agent, Network
from raw import Raw, rust_hello
from wire import ERROR, PeerError, fresh

SECRET = "open sesame"
CHAIN = [["room-1", 7], ["room-2", 8]]


@pytest.fixture(scope="module")
def serial(shared: Programs) -> Network:
    """A network whose containers of the kind echo are asked one thing at a time."""
    file = shared.folder / "secret"
    file.write_text(SECRET)
    network = shared.network(control_secret_file=file)
    with Raw(network.address) as operator:
        operator.hello(huly=rust_hello(secret=SECRET))
        spec = {"kind": "echo", "revision": 1, "strategy": "RoundRobin", "serial": True}
        assert operator.call("ks", spec) == "ok"
    return network


@pytest.fixture(scope="module")
def stock(shared: Programs, serial: Network) -> Agent:
    return shared.agent(serial)


@pytest.mark.covers("method ks client → server", "method cs client → agent's ROUTER")
def test_one_request_runs_at_a_time(peers: Peers, serial: Network, stock: Agent) -> None:
    """On both routes: what comes later is answered later, however short it is; another container of
    the kind is not held up.
    """
    client, direct = peers.client(serial), peers.direct(stock)
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    other, _ = client.get("echo", {"uuid": fresh("echo")})
    slow = client.start("cs", [uuid, "sleep", {"ms": 1500}])
    assert client.request(other, "echo", "another") == "another"
    routed = client.start("cs", [uuid, "echo", "routed"])
    beside = direct.start("cs", [uuid, "echo", "direct"])
    assert client.request(other, "echo", "another") == "another"
    assert not (slow.done() or routed.done() or beside.done())
    assert routed.result(10) == "routed" and beside.result(10) == "direct"
    assert slow.done()


@pytest.mark.covers("frame 3 responseError server", "method cs client → server")
def test_who_waits_no_longer_is_told(peers: Peers, serial: Network, stock: Agent) -> None:
    """A request that still waits shortly before its caller's time is over has not run."""
    raw = peers.raw(serial.address)
    raw.hello(huly=rust_hello())
    uuid = fresh("echo")
    raw.call("gg", {"kind": "echo", "request": {"uuid": uuid}})
    slow = raw.ask("cs", [uuid, "sleep", {"ms": 1500}])
    began = time.monotonic()
    late = raw.ask("cs", [uuid, "echo", 1, {"timeoutMs": 500}])
    answer = raw.answer_to(late)
    assert (answer.op, answer.json()["code"]) == (ERROR, "timedOut")
    assert "did not run" in answer.json()["message"]
    assert time.monotonic() - began < 1.5
    raw.answer_to(slow)


@pytest.mark.covers("method cs client → server", "method cs server → agent's client")
def test_the_chain_goes_to_rust_agents_alone(peers: Peers, serial: Network) -> None:
    """What a request of a Rust client says of who waits for it."""
    client = peers.raw(serial.address)
    client.hello(huly=rust_hello())
    for rust in (True, False):
        kind, uuid = fresh("kind"), fresh("room")
        agent = peers.raw_agent(serial, kind, rust=rust)
        agent.register()
        asked = client.ask("gg", {"kind": kind, "request": {"uuid": uuid}})
        assert agent.start() == uuid
        client.answer_to(asked)
        asked = client.ask("cs", [uuid, "op", None, {"chain": CHAIN}])
        call, params = agent.called("cs")
        assert params == [uuid, "op", None]
        told = call.json()[1][2:]
        assert ([each["chain"] for each in told] == [CHAIN]) if rust else (told == [])
        agent.answer(call, "done")
        assert client.answer_to(asked).json() == "done"


@pytest.mark.covers("method cs client → agent's ROUTER", "frame 3 responseError server")
def test_a_chain_is_bounded(peers: Peers, serial: Network, stock: Agent) -> None:
    """One of 64 is too long to be added to; a longer one is none."""
    holder, raw = peers.client(serial), peers.raw(stock.address)
    uuid, _ = holder.get("echo", {"uuid": fresh("echo")})
    raw.hello(huly=rust_hello())
    for length, code in ((64, "exhausted"), (65, "badRequest")):
        chain = [["room", number] for number in range(length)]
        asked = raw.ask("cs", [uuid, "echo", 1, {"chain": chain}])
        assert raw.answer_to(asked).json()["code"] == code
    assert raw.call("cs", [uuid, "echo", 1, {"chain": CHAIN}]) == 1
    with pytest.raises(PeerError):
        raw.call("cs", [uuid, "echo", 1, {"chain": "none"}])
