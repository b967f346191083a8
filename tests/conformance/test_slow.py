"""Peers that do not read what they are sent: they cost what is bounded, and nobody but themselves."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Bystander, Peers, Programs
from programs import Program
from raw import Raw, rust_hello
from raw_agent import RawAgent
from relay import DOWN, Relay
from wire import ASK_HELLO, DEADLINE, ERROR, EVENT, PING, RESPONSE, RETRY
from wire import Frame, eventually, fresh

MEBIBYTE = 1024 * 1024

BOUND = 160 * MEBIBYTE
"""What a peer that does not read may cost a program: far less than what is sent to it here."""


def memory(program: Program) -> int:
    """The memory that a process has had at most, in bytes."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@dataclass
class Deaf:
    """A peer that asks and does not read, the program it asks, and one who is served all the while."""

    program: Program
    relay: Relay
    raw: Raw
    bystander: Bystander
    uuid: str

    def asks(self, *requests: tuple[str, Any]) -> None:
        """Does not read from now on, but asks; the bystander is served meanwhile."""
        self.relay.stall(DOWN)
        for method, params in requests:
            self.raw.ask(method, params)
            if self.raw.counter % 50 == 0:
                self.bystander.check()

    def is_right_again(self) -> None:
        """It reads again, is asked for a hello, and is served under another session's uuid."""
        self.relay.flow()

        def asked_for_hello() -> bool:
            self.raw.send(PING)
            frame = self.raw.receive(0.2)
            while frame is not None and frame.op != ASK_HELLO:
                frame = self.raw.receive(0.2)
            return frame is not None

        eventually("it is asked for a hello", asked_for_hello)
        self.raw.hello()
        assert self.raw.call("cs", [self.uuid, "echo", "again"]) == "again"


@pytest.fixture(params=["network", "agent"])
def deaf(request: pytest.FixtureRequest, peers: Peers, programs: Programs) -> Deaf:
    patient = {"write-timeout-ms": 600_000}
    network = programs.network(**patient)
    agent = programs.agent(network, **patient)
    client = peers.client(network)
    uuid, _ = client.get("echo", {"uuid": fresh("echo"), "extra": {"text": "x" * MEBIBYTE}})
    bystander = Bystander(client, peers.direct(agent), uuid)
    program = network if request.param == "network" else agent
    relay = peers.relay(program)
    raw = peers.raw(relay.address)
    raw.hello()
    return Deaf(program, relay, raw, bystander, uuid)


@pytest.mark.covers("W07")
def test_who_does_not_read_its_answers(deaf: Deaf) -> None:
    """What is kept for a client that does not read is bounded; others are served; it comes again."""
    before = memory(deaf.program)
    data = "x" * (MEBIBYTE // 4)
    deaf.asks(*[("cs", [deaf.uuid, "echo", data])] * 1200)
    deaf.bystander.check()
    assert memory(deaf.program) - before < BOUND
    deaf.is_right_again()


@pytest.mark.covers("frame 7 retry server")
@pytest.mark.parametrize("rust", [False, True], ids=["TypeScript", "Rust"])
def test_a_stopped_agent(rust: bool, peers: Peers, programs: Programs) -> None:
    """Who asks more of an agent that does not read than it may is told, and no other waits."""
    network = programs.network()
    stopped, other = programs.agent(network), programs.agent(network)
    client = peers.client(network)
    rooms: dict[str, str] = {}
    while len(rooms) < 2:
        uuid, endpoint = client.get("echo", {"uuid": fresh("echo")})
        rooms[json.loads(endpoint)["agentId"]] = uuid
    bystander = Bystander(client, peers.direct(other), rooms[other.id])
    sender = peers.raw(network.address)
    sender.hello(huly=rust_hello() if rust else None)
    before = memory(network)
    stopped.stop()
    data = "x" * (MEBIBYTE // 4)
    asked = [sender.ask("cs", [rooms[stopped.id], "echo", data]) for _ in range(300)]

    def is_refused(frame: Frame) -> bool:
        if rust:
            return frame.op == ERROR and frame.json()["code"] == "busy"
        return frame.op == RETRY and frame.payload == "1"

    refused = sender.expect("a refusal", is_refused)
    bystander.check()
    # Refused too, or answered by the next life if it was placed elsewhere meanwhile.
    sender.expect("the last", lambda frame: frame.id == asked[-1])
    assert memory(network) - before < BOUND
    stopped.resume()
    # In time or after its end: each of them comes to something.
    for id in asked[: asked.index(refused.id)]:
        assert sender.answer_to(id).op in (RESPONSE, ERROR)
    eventually("it serves again", lambda: network.metric("huly_network_agents", state="Live") == 2)
    assert sender.call("cs", [bystander.uuid, "echo", data]) == data
    bystander.check()


@pytest.mark.covers("W04", "W07")
def test_the_write_deadline(peers: Peers, programs: Programs) -> None:
    """The connection of who reads nothing for the write deadline is closed; it loses no answer."""
    network = programs.network(write_timeout_ms=1_000)
    programs.agent(network)
    relay = peers.relay(network)
    client = peers.client(relay, alive_timeout=60)
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    relay.stall(DOWN)
    data = "x" * (MEBIBYTE // 4)
    asked = [client.start("cs", [uuid, "echo", data]) for _ in range(120)]
    eventually("it comes again", lambda: relay.accepted == 2)
    # For so much waited that it was given up, not lost.
    eventually("it is counted", lambda: network.metric("huly_network_connections_cut_total") == 1)
    relay.flow()
    assert {future.result(DEADLINE) for future in asked} == {data}
    assert network.metric("huly_network_references") == 1


@pytest.mark.covers("method xw client → server", "frame 4 event server")
def test_a_network_that_is_larger_than_what_may_wait_for_a_peer(
    peers: Peers, programs: Programs
) -> None:
    """The feed's snapshot comes as it is read, however late that is; others are served meanwhile."""
    network = programs.network()
    raw = peers.raw(network.address)
    raw.hello()
    agent = RawAgent(raw, ["k"])
    extra = {"text": "x" * (20 * 1024)}
    uuids = [fresh("k") for _ in range(5_000)]
    agent.register(*(agent.record(uuid, extra=extra) for uuid in uuids))
    serving = programs.agent(network)
    client = peers.client(network)
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    bystander = Bystander(client, peers.direct(serving), uuid)
    relay = peers.relay(network)
    watcher = peers.raw(relay.address)
    watcher.hello(huly=rust_hello())
    # The most that it had at a time, from now on.
    clear = Path(f"/proc/{network.process.pid}/clear_refs")
    clear.write_text("5")
    before = memory(network)
    relay.stall(DOWN)
    watcher.ask("xw", {})
    bystander.check()
    assert memory(network) - before < 24 * MEBIBYTE
    relay.flow()
    told = []
    while True:
        event = watcher.expect("a chunk", lambda frame: frame.op == EVENT)
        feed = event.json()["feed"]
        told += [each["container"]["uuid"] for each in feed.get("containers", [])]
        if feed["snapshot"]["last"]:
            break
    assert sorted(told) == sorted([*uuids, uuid])
    assert memory(network) - before < 24 * MEBIBYTE
    assert network.metric("huly_network_connections_cut_total") == 0
    bystander.check()
