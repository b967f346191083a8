"""soundness.md where it says more than the original's lines: incarnations, epochs, settling."""

import time

import pytest

from conftest import Peers, Programs
from programs import Network
from raw import rust_hello
from wire import ADDED, ERROR, EVENT, REMOVED, REQUEST, RETRY, eventually, fresh


@pytest.mark.covers("W04", "W05", "W16", "frame 0 hello server", "frame 4 event server")
def test_a_new_process_takes_over_references_not_requests(
    peers: Peers, settled: Network
) -> None:
    """Another nonce under the same client id: the old process is told and served no more, what it
    held is held on, what it asked is forgotten: the same request id is a new request.
    """
    kind, uuid, idle = fresh("kind"), fresh("room"), fresh("room")
    agent = peers.raw_agent(settled, kind)
    agent.register()
    first = peers.raw(settled.address)
    session = first.hello(huly=rust_hello()).id
    asked = first.ask("gg", {"kind": kind, "request": {"uuid": uuid}})
    assert agent.start() == uuid
    first.answer_to(asked)
    first.ask("cs", [uuid, "first", None], "same")
    old, _ = agent.called("cs")

    second = peers.raw(settled.address, client_id=first.client_id)
    assert second.hello(huly=rust_hello()).id != session
    told = first.expect("superseded", lambda frame: frame.op == EVENT)
    assert list(told.json()) == ["superseded"] and isinstance(told.json()["superseded"], str)
    first.ask("ak", {}, "late")
    assert first.answer_to("late").op in (RETRY, ERROR)

    second.ask("cs", [uuid, "second", None], "same")
    new, params = agent.called("cs")
    assert params == [uuid, "second", None]
    agent.answer(old, "of the first")
    agent.raw.round_trip()
    agent.answer(new, "of the second")
    assert second.answer_to("same").json() == "of the second"

    # A container that nobody holds ends meanwhile; this one is held still.
    holder = peers.raw(settled.address)
    holder.hello()
    asked = holder.ask("gg", {"kind": kind, "request": {"uuid": idle}})
    agent.start()
    holder.answer_to(asked)
    holder.call("cr", {"uuid": idle})
    ended, params = agent.called("ct")
    assert params == [idle]
    agent.answer(ended, "")
    agent.not_called("ct")
    assert {each["uuid"] for each in second.call("cl", {"kind": kind})} == {uuid}


@pytest.mark.covers("W17", "method ar client → server", "method ct server → agent's client")
def test_the_higher_epoch_wins(peers: Peers, settled: Network) -> None:
    """Whichever is registered first; one without an epoch loses to a known one."""
    kind = fresh("kind")
    uuid = fresh("room")
    low, high, late = (peers.raw_agent(settled, kind, rust=True) for _ in range(3))
    plain = peers.raw_agent(settled, kind)

    def record(agent, *epoch: int) -> dict:
        return agent.record(uuid, huly={"epoch": list(epoch), "holders": [], "byUuid": True})

    raw = peers.raw(settled.address)
    term = raw.hello(huly=rust_hello()).json()["term"]
    assert low.register(record(low, term, 1)) == []
    assert high.register(record(high, term, 3)) == []
    call, params = low.called("ct")
    assert params == [uuid]
    low.answer(call, "")
    assert late.register(record(late, term, 2)) == [uuid]
    assert plain.register(plain.record(uuid)) == [uuid]
    assert [each["agentId"] for each in raw.call("cl", {"kind": kind})] == [high.id]
    high.not_called("ct")


@pytest.mark.covers("W13", "method gg client → server")
def test_nothing_is_placed_anew_before_the_server_settles(peers: Peers, programs: Programs) -> None:
    """A get by uuid waits: its container may live at an agent that is still to come. One that a
    Rust caller marks fresh need not wait.
    """
    network = programs.network(settle_ms=2500)
    began = time.monotonic()
    kind, uuid, new, lives = fresh("kind"), fresh("room"), fresh("new"), fresh("lives")
    agent = peers.raw_agent(network, kind)
    agent.register()
    raw = peers.raw(network.address)
    raw.hello(huly=rust_hello())
    raw.ask("gg", {"kind": kind, "request": {"uuid": uuid}}, "waits")
    raw.ask("gg", {"kind": kind, "request": {"uuid": lives}}, "lives")
    raw.ask("cs", [lives, "echo", None], "call")
    raw.ask("gg", {"kind": kind, "request": {"uuid": new}, "huly": {"fresh": True}}, "fresh")
    assert agent.start() == new
    assert raw.answer_to("fresh").json()[0] == new
    # The agent of the other one comes: it is served the moment it registers.
    late = peers.raw_agent(network, kind)
    late.register(late.record(lives))
    assert raw.answer_to("lives").json()[:2] == [lives, late.endpoint(lives)]
    call, _ = late.called("cs")
    late.answer(call, "it lives")
    assert raw.answer_to("call").json() == "it lives"
    for each in (agent, late):
        each.not_called("gg")
    assert time.monotonic() - began < 2.4, "too slow a machine to tell"

    def placed() -> bool:
        for each in (agent, late):
            while frame := each.raw.receive(0):
                if frame.op == REQUEST and uuid in frame.payload:
                    each.answer(frame, [uuid, each.endpoint(uuid)])
                    return True
        return False

    eventually("it is placed", placed)
    assert time.monotonic() - began > 2
    assert raw.answer_to("waits").json()[0] == uuid


@pytest.mark.covers("W11", "frame 4 event server")
def test_what_was_there_is_no_news(peers: Peers, programs: Programs) -> None:
    """Containers registered again unchanged while settling are not announced; agents are."""
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    relay = peers.relay(network)
    agent = peers.agent(relay, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid})
    network.kill()
    relay.shut()
    network.start()
    watcher = peers.client(network)
    relay.open()
    eventually("the agent is added", lambda: watcher.agent_events(agent.id) == [ADDED])
    eventually("it has settled", lambda: network.metric("huly_network_settling") == 0)
    # What happens now is news, and comes after what came before.
    gone = fresh("room")
    agent.client.get(kind, {"uuid": gone})
    eventually("it is news", lambda: watcher.container_events(gone))
    assert watcher.container_events(uuid) == []
    assert REMOVED not in [event for event, _ in client.container_events(uuid)]
    assert client.request(uuid, "echo")["n"] == 1
