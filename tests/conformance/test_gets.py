"""Get: which container one is answered with, and when; references. The agents answer when told to."""

import json
from typing import Any

import pytest

from conftest import Peers, Programs
from programs import Network
from raw import Raw, rust_hello
from raw_agent import RawAgent
from wire import ERROR, REQUEST, RETRY, Frame, PeerError, eventually, fresh, text


def known(peers: Peers, network: Network) -> Raw:
    raw = peers.raw(network.address)
    raw.hello()
    return raw


def get(kind: str, **request: Any) -> dict[str, Any]:
    return {"kind": kind, "request": request}


def asked(agents: list[RawAgent], uuid: str) -> tuple[RawAgent, Frame]:
    """Which agent was called to start that container, and the call."""

    def found() -> tuple[RawAgent, Frame] | None:
        for agent in agents:
            while frame := agent.raw.receive(0):
                agent.raw.seen.append(frame)
            for frame in agent.raw.seen:
                if frame.op == REQUEST and uuid in frame.payload:
                    agent.raw.seen.remove(frame)
                    return agent, frame
        return None

    return eventually(f"an agent is asked for {uuid}", found)


@pytest.mark.covers("W13", "method gg server → agent's client")
def test_a_get_of_one_that_starts_waits_for_it(peers: Peers, network: Network) -> None:
    """W13: one call to one agent, though another serves the kind as well; all are answered alike."""
    kind, uuid = fresh("kind"), fresh("room")
    agents = [peers.raw_agent(network, kind) for _ in range(2)]
    for agent in agents:
        agent.register()
    callers = [known(peers, network) for _ in range(3)]
    for caller in callers:
        caller.ask("gg", get(kind, uuid=uuid), "get")
        caller.round_trip()
    agent, call = asked(agents, uuid)
    for each in agents:
        each.not_called("gg")
    assert not any(frame.id == "get" for caller in callers for frame in caller.seen)
    agent.answer(call, [uuid, agent.endpoint(uuid)])
    for caller in callers:
        assert caller.answer_to("get").json() == [uuid, agent.endpoint(uuid)]


@pytest.mark.covers("W13")
def test_a_get_of_a_uuid_that_lives_as_another_kind(peers: Peers, network: Network) -> None:
    """W13: the container of that uuid, whatever its kind; nothing is started."""
    kind, other, uuid = fresh("kind"), fresh("other"), fresh("room")
    agent = peers.raw_agent(network, kind, other)
    agent.register(agent.record(uuid, kind))
    caller = known(peers, network)
    assert caller.call("gg", get(other, uuid=uuid)) == [uuid, agent.endpoint(uuid)]
    assert caller.call("gg", get(fresh("nobody"), uuid=uuid))[0] == uuid
    agent.not_called("gg")


@pytest.mark.covers("W14")
def test_a_get_by_labels_joins_one_that_starts(peers: Peers, network: Network) -> None:
    """W14: one that is starting and has all the asked labels; with another label a new one."""
    kind = fresh("kind")
    agent = peers.raw_agent(network, kind)
    agent.register()
    first, second, third = (known(peers, network) for _ in range(3))
    first.ask("gg", get(kind, labels=["a", "b"]), "get")
    call, [_, request] = agent.called("gg")
    assert request["labels"] == ["a", "b"]
    second.ask("gg", get(kind, labels=["b"]), "get")
    second.round_trip()
    agent.not_called("gg")
    third.ask("gg", get(kind, labels=["b", "c"]), "get")
    other_call, [_, request] = agent.called("gg")
    assert request["labels"] == ["b", "c"]
    uuids = [fresh("room"), fresh("other")]
    for each, uuid in zip((other_call, call), reversed(uuids), strict=True):
        agent.answer(each, [uuid, agent.endpoint(uuid)])
    got = [caller.answer_to("get").json()[0] for caller in (first, second, third)]
    assert got == [uuids[0], uuids[0], uuids[1]]


@pytest.mark.covers("W14")
def test_a_get_without_anything_joins_one_that_starts(peers: Peers, network: Network) -> None:
    """W14: no label is asked for, so any of the kind that is starting will do."""
    kind = fresh("kind")
    agent = peers.raw_agent(network, kind)
    agent.register()
    first, second = known(peers, network), known(peers, network)
    first.ask("gg", get(kind, labels=["a"]), "get")
    call, _ = agent.called("gg")
    second.ask("gg", get(kind), "get")
    second.round_trip()
    agent.not_called("gg")
    uuid = fresh("room")
    agent.answer(call, [uuid, agent.endpoint(uuid)])
    assert first.answer_to("get").json() == second.answer_to("get").json()


@pytest.mark.covers("W14")
def test_who_was_asked_for_by_uuid_is_nobody_elses(peers: Peers, network: Network) -> None:
    """soundness.md, get without a uuid: only what was itself asked for without one is reused."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    client = peers.client(network)
    client.get(kind, {"uuid": uuid, "labels": ["a"]})
    by_labels, _ = client.get(kind, {"labels": ["a"]})
    assert by_labels != uuid
    assert peers.client(network).get(kind, {"labels": ["a"]})[0] == by_labels
    assert set(agent.containers) == {uuid, by_labels}


@pytest.mark.covers("W14", "W30")
def test_an_agent_answers_with_one_that_it_had(peers: Peers, network: Network) -> None:
    """W14: the agent itself may return a container that it has, to a get without a uuid."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register(agent.record(uuid))
    caller = known(peers, network)
    id = caller.ask("gg", get(kind, labels=["a"]))
    assert agent.start(uuid) == uuid
    assert caller.answer_to(id).json() == [uuid, agent.endpoint(uuid)]
    assert [each["uuid"] for each in caller.call("cl", {"kind": kind})] == [uuid]
    call = caller.ask("cs", [uuid, "echo", 1])
    asked, _ = agent.called("cs")
    agent.answer(asked, "here")
    assert caller.answer_to(call).json() == "here"


@pytest.mark.covers("W15")
def test_agents_of_the_kind_take_turns(peers: Peers, programs: Programs) -> None:
    """W15: in turn among those that serve it; others are passed over, of two kinds each its turn."""
    network = programs.network()
    agents = [peers.raw_agent(network, "one", "two"), peers.raw_agent(network, "one", "two")]
    agents += [peers.raw_agent(network, "one"), peers.raw_agent(network, "three")]
    for agent in agents:
        agent.register()
    caller = known(peers, network)

    def turn(kind: str) -> RawAgent:
        uuid = fresh(kind)
        id = caller.ask("gg", get(kind, uuid=uuid))
        agent, call = asked(agents, uuid)
        agent.answer(call, [uuid, agent.endpoint(uuid)])
        assert json.loads(caller.answer_to(id).json()[1])["agentId"] == agent.id
        return agent

    ones = [agents.index(turn("one")) for _ in range(6)]
    assert sorted(ones[:3]) == [0, 1, 2] and ones[:3] == ones[3:]
    twos = [agents.index(turn("two")) for _ in range(4)]
    assert sorted(twos[:2]) == [0, 1] and twos[:2] == twos[2:]


@pytest.mark.covers("W15", "W29", "frame 7 retry server", "frame 3 responseError server")
def test_an_agent_that_fails_a_get(peers: Peers, network: Network) -> None:
    """The agent's own error reaches a Rust client; a TypeScript one, which tries again for ever, is to
    try again. The uuid is free again."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register()
    rust = peers.raw(network.address)
    rust.hello(huly=rust_hello())
    for caller in (rust, known(peers, network)):
        id = caller.ask("gg", get(kind, uuid=uuid))
        call, _ = agent.called("gg")
        agent.fail(call, "no room left")
        answer = caller.answer_to(id)
        if caller is rust:
            assert answer.op == ERROR and "no room left" in answer.json()["message"]
        else:
            assert (answer.op, answer.json()) == (RETRY, 1)
        assert uuid not in text(caller.call("cl", {}))
    caller.ask("gg", get(kind, uuid=uuid), id)
    agent.start()
    assert caller.answer_to(id).json()[0] == uuid


@pytest.mark.covers("W15")
def test_the_last_agent_of_a_kind_leaves(peers: Peers, network: Network) -> None:
    """W15: with nobody left, the error by which TypeScript clients know to ask again."""
    kind = fresh("kind")
    agents = [peers.agent(network, [kind]) for _ in range(2)]
    client = peers.client(network)
    assert client.call("gg", get(kind))[0]
    for agent in agents:
        agent.unregister()
    with pytest.raises(PeerError, match=f"^No suitable agents found for container {kind}"):
        client.call("gg", get(kind, uuid=fresh("room")))


@pytest.mark.covers("W16", "method cr client → server")
def test_a_reference_is_one_however_often_got(peers: Peers, network: Network) -> None:
    """soundness.md, references: members of a set; one release ends what three gets made."""
    kind, uuid, kept = fresh("kind"), fresh("room"), fresh("room")
    agent = peers.agent(network, [kind])
    client, other = peers.client(network), peers.client(network)
    for _ in range(3):
        client.get(kind, {"uuid": uuid})
    for each in (client, other):
        each.get(kind, {"uuid": kept})
    assert client.release(uuid) == "ok"
    assert client.release(kept) == "ok"
    assert client.release(kept) == "ok", "said twice"
    eventually("it ends", lambda: agent.calls_of("ct") == [[uuid]], 9)
    assert other.request(kept, "echo")["n"] == 1


@pytest.mark.covers("W16", "method ct server → agent's client")
def test_a_get_while_it_ends(peers: Peers, network: Network) -> None:
    """W16: a get that comes while the agent ends the container is answered with a new one."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(network, kind)
    agent.register()
    caller = known(peers, network)
    id = caller.ask("gg", get(kind, uuid=uuid))
    agent.start()
    assert caller.answer_to(id).json()[0] == uuid
    assert caller.call("cr", {"uuid": uuid}) == "ok"
    ended, params = agent.called("ct")
    assert params == [uuid]
    id = caller.ask("gg", get(kind, uuid=uuid))
    caller.round_trip()
    agent.not_called("gg")
    agent.answer(ended, "")
    agent.start()
    assert caller.answer_to(id).json() == [uuid, agent.endpoint(uuid)]


@pytest.mark.covers("W03", "W15")
def test_a_client_gets_from_the_agent_that_it_serves(peers: Peers, network: Network) -> None:
    """W03: calls back and its own requests share one connection, in both directions at once."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    assert agent.client.get(kind, {"uuid": uuid})[0] == uuid
    assert agent.client.request(uuid, "echo", 1)["data"] == 1
    eventually("it is told of itself", lambda: agent.client.container_events(uuid))
