"""Answers that nobody should believe, and agents that answer with nonsense: their callers get an
error, the containers of others are served on.
"""

import pytest

from conftest import Bystander, Peers
from programs import Agent, Network
from raw import rust_hello
from wire import ERROR, REQUEST, RESPONSE, RETRY, PeerError, fresh, text


@pytest.mark.covers("frame 2 response client", "frame 3 responseError client")
def test_answers_to_the_request_of_another(
    peers: Peers, network: Network, bystander: Bystander
) -> None:
    """An answer counts only from the session that was asked (soundness.md, sessions)."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw(network.address)
    agent.hello()
    agent_id = fresh("agent")
    agent.call("ar", {"uuid": agent_id, "containers": [], "kinds": [kind]})
    caller, thief = peers.raw(network.address), peers.raw(network.address)
    caller.hello()
    thief.hello(huly=rust_hello())
    caller.ask("gg", {"kind": kind, "request": {"uuid": uuid}}, "get")
    asked = agent.expect("gg", lambda frame: frame.op == REQUEST)
    endpoint = text({"kind": 2, "host": "", "port": 0, "agentId": agent_id, "uuid": uuid})

    before = network.metric("huly_network_bad_messages_total")
    thief.send(RESPONSE, asked.id, text([uuid, "stolen"]))
    thief.send(ERROR, asked.id, text({"message": "stolen", "stack": ""}))
    thief.round_trip()
    assert network.metric("huly_network_bad_messages_total") >= before + 2
    agent.send(RESPONSE, asked.id, text([uuid, endpoint]))
    assert caller.answer_to("get").json() == [uuid, endpoint]

    caller.ask("cs", [uuid, "echo", 1], "asked")
    asked = agent.expect("cs", lambda frame: frame.op == REQUEST)
    thief.send(RESPONSE, asked.id, '"stolen"')
    thief.round_trip()
    agent.send(RESPONSE, asked.id, '"mine"')
    # A second answer to what has been answered.
    agent.send(RESPONSE, asked.id, '"again"')
    agent.round_trip()
    assert caller.answer_to("asked").json() == "mine"
    caller.round_trip()
    assert "asked" not in [frame.id for frame in caller.seen]
    bystander.check()


@pytest.mark.covers("W05")
def test_one_request_id_of_two_clients(peers: Peers, network: Network) -> None:
    """W05: a request id is unique within its sender only."""
    one, other = peers.raw(network.address), peers.raw(network.address)
    one.hello()
    other.hello()
    one.ask("al", {}, "same")
    other.ask("ak", {}, "same")
    assert all(isinstance(each, dict) for each in one.answer_to("same").json())
    assert all(isinstance(each, str) for each in other.answer_to("same").json())


@pytest.mark.covers("method au client → server", "method cu agent's client → server")
@pytest.mark.parametrize("method", ["ct", "cu", "au"])
def test_what_belongs_to_another(
    method: str, peers: Peers, network: Network, agent: Agent, bystander: Bystander
) -> None:
    """A client that serves no agent can neither end its containers nor unregister it."""
    hostile = peers.raw(network.address)
    hostile.hello()
    record = {
        "agentId": agent.id,
        "uuid": bystander.uuid,
        "kind": "echo",
        "endpoint": "",
        "lastVisit": 0,
    }
    params = {
        "ct": [agent.id, [bystander.uuid]],
        "cu": {"agents": [], "containers": [{"container": record, "event": 2}]},
        "au": {"uuid": agent.id},
    }[method]
    try:
        hostile.call(method, params, within=5)
    except PeerError:
        pass  # Refused in words, or ignored: what counts is what follows.
    hostile.round_trip()
    bystander.check()
    assert agent.id in [each["agentId"] for each in hostile.call("al", {})]


BAD_ANSWERS = [
    "",
    "{",
    "null",
    "7",
    '""',
    "[]",
    '["only"]',
    "[7,8]",
    '[null,null]',
    '{"uuid":"a"}',
    '["a","b","c","d"]',
    "[" * 100_000,
]


@pytest.mark.covers("method gg server → agent's client", "frame 2 response client")
@pytest.mark.parametrize("payload", BAD_ANSWERS, ids=range(len(BAD_ANSWERS)))
def test_bad_answers_of_an_agent(
    payload: str, peers: Peers, network: Network, bystander: Bystander
) -> None:
    """An agent that answers `gg` with nonsense: its caller is to try again, others are served."""
    kind, uuid = fresh("kind"), fresh("room")
    agent, caller = peers.raw(network.address), peers.raw(network.address)
    agent.hello()
    agent.call("ar", {"uuid": fresh("agent"), "containers": [], "kinds": [kind]})
    caller.hello()
    caller.ask("gg", {"kind": kind, "request": {"uuid": uuid}}, "get")
    asked = agent.expect("gg", lambda frame: frame.op == REQUEST)
    agent.send(RESPONSE, asked.id, payload)
    assert caller.answer_to("get", within=5).op == RETRY
    bystander.check()


@pytest.mark.covers(
    "method cs server → agent's client", "frame 2 response client", "frame 3 responseError client",
)
def test_bad_answers_to_a_request(
    peers: Peers, network: Network, bystander: Bystander
) -> None:
    """An answer of a container that is no JSON does not hang its caller."""
    kind, uuid = fresh("kind"), fresh("room")
    agent, caller = peers.raw(network.address), peers.raw(network.address)
    agent.hello()
    agent_id = fresh("agent")
    agent.call("ar", {"uuid": agent_id, "containers": [], "kinds": [kind]})
    caller.hello()
    caller.ask("gg", {"kind": kind, "request": {"uuid": uuid}}, "get")
    asked = agent.expect("gg", lambda frame: frame.op == REQUEST)
    endpoint = text({"kind": 2, "host": "", "port": 0, "agentId": agent_id})
    agent.send(RESPONSE, asked.id, text([uuid, endpoint]))
    assert caller.answer_to("get").op == RESPONSE
    for op, payload in [(ERROR, b"{"), (ERROR, b"7"), (ERROR, b""), (RESPONSE, b"\xff")]:
        id = fresh("request")
        caller.ask("cs", [uuid, "x", None], id)
        asked = agent.expect("cs", lambda frame: frame.op == REQUEST)
        agent.send_parts(str(op).encode(), asked.id.encode(), payload, b"")
        assert caller.answer_to(id, within=5).op == ERROR
    bystander.check()
