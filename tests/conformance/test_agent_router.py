"""A TypeScript client at our agent's own ROUTER: its session there, `cc`, `cd`, `cs`, events."""

import json
import time

import pytest

from conftest import Listeners, Peers, Programs
from peers import TypeScriptClient
from programs import Agent, Network
from raw import Raw
from wire import ASK_HELLO, CLOSE, ERROR, EVENT, HELLO, PING, PONG, REQUEST, RESPONSE, RETRY
from wire import PeerError, eventually, fresh, is_uuid, text


@pytest.fixture
def room(peers: Peers, network: Network, agent: Agent) -> str:
    """A chat-room at the agent, held by a client of the network."""
    return peers.client(network).get("chat-room", {"uuid": fresh("room")})[0]


def say(client: TypeScriptClient, room: str, said: str) -> None:
    client.request(room, "say", {"from": "eva", "text": said})


def heard(client: TypeScriptClient) -> list[tuple[str, str]]:
    return [(uuid, data["text"]) for uuid, data in list(client.events)]


@pytest.mark.covers("W04", "W07", "frame 0 hello server", "frame 6 pong server")
def test_hello_and_pongs(peers: Peers, agent: Agent) -> None:
    """W04, W07: one uuid of the process for all clients, the pong's as well."""
    one, other = peers.raw(agent.address), peers.raw(agent.address)
    uuids = set()
    for raw in (one, other):
        hello = raw.hello()
        assert is_uuid(hello.id) and hello.payload == ""
        pong = raw.round_trip()
        assert (pong.id, pong.payload) == (hello.id, "")
        uuids.add(hello.id)
    assert len(uuids) <= 2


@pytest.mark.covers("W06", "W07", "frame 7 retry server", "frame 9 askHello server")
def test_strangers(peers: Peers, agent: Agent) -> None:
    """W06, W07: retry with 1 to who has not said hello; askHello at its ping; then it is served."""
    raw = peers.raw(agent.address)
    id = raw.ask("cs", [fresh("room"), "history", None])
    retried = raw.answer_to(id)
    assert (retried.op, retried.json()) == (RETRY, 1)
    raw.send(PING)
    answers = {raw.receive().op, raw.receive().op}
    assert answers == {PONG, ASK_HELLO}
    raw.hello()
    with pytest.raises(PeerError):
        raw.call("cs", [fresh("room"), "history", None])


@pytest.mark.covers("W08", "W27", "frame 8 close client")
def test_close(peers: Peers, network: Network, agent: Agent, room: str) -> None:
    """W08, W27: after close nothing comes, and the client is a stranger."""
    client = peers.client(network)
    raw = peers.raw(agent.address)
    raw.hello()
    assert raw.call("cc", {"uuid": room}) == 1
    say(client, room, "heard")
    raw.expect("the event", lambda frame: frame.op == EVENT)
    raw.send(CLOSE)
    raw.send(PING)
    raw.expect("askHello", lambda frame: frame.op == ASK_HELLO)
    say(client, room, "not heard")
    raw.hello()
    assert raw.call("cs", [room, "history", None])[-1]["text"] == "not heard"
    assert [frame for frame in raw.seen if frame.op == EVENT] == []
    eventually("the room knows", lambda: raw.call("cs", [room, "members", None]) == [])


@pytest.mark.covers("method cc client → agent's ROUTER")
def test_cc_takes_a_text_or_a_list(
    peers: Peers, network: Network, agent: Agent
) -> None:
    """`cc`: how many; an empty list is none."""
    holder, direct = peers.client(network), peers.direct(agent)
    rooms = [holder.get("chat-room", {"uuid": fresh("room")})[0] for _ in range(3)]
    assert direct.call("cc", {"uuid": rooms[0]}) == 1
    assert direct.call("cc", {"uuid": rooms[1:]}) == 2
    assert direct.call("cc", {"uuid": rooms}) == 3
    assert direct.call("cc", {"uuid": []}) == 0
    for room in rooms:
        assert direct.request(room, "members") == [direct.client_id]
        say(holder, room, room)
    eventually("each is heard once", lambda: heard(direct) == [(room, room) for room in rooms])


@pytest.mark.covers("method cd client → agent's ROUTER")
def test_cd(peers: Peers, network: Network, agent: Agent, room: str) -> None:
    """`cd` ends the events of that container alone, of that client alone."""
    holder, one, other = peers.client(network), peers.direct(agent), peers.direct(agent)
    second = holder.get("chat-room", {"uuid": fresh("room")})[0]
    for client in (one, other):
        client.call("cc", {"uuid": [room, second]})
    assert one.call("cd", {"uuid": room}) == "ok"
    assert one.call("cd", {"uuid": room}) == "ok"
    for each in (room, second):
        say(holder, each, "hello")
    eventually("both are heard", lambda: len(heard(other)) == 2)
    eventually("one is heard", lambda: heard(one) == [(second, "hello")])


@pytest.mark.covers("W27")
def test_a_reconnect_keeps_what_is_connected(
    peers: Peers, network: Network, agent: Agent, room: str
) -> None:
    """W27: `cc` is never repeated: the agent keeps it by client id over a new connection."""
    holder = peers.client(network)
    first = peers.raw(agent.address)
    first.hello()
    assert first.call("cc", {"uuid": room}) == 1
    first.drop()
    again = peers.raw(agent.address, client_id=first.client_id)
    again.hello()
    say(holder, room, "after the reconnect")
    event = again.expect("the event", lambda frame: frame.op == EVENT)
    [heard_in, data] = event.json()
    assert (heard_in, data["text"]) == (room, "after the reconnect")
    assert again.call("cs", [room, "members", None]) == [first.client_id]
    assert again.call("cd", {"uuid": room}) == "ok"


@pytest.mark.covers("W05", "W21")
def test_an_answer_over_the_new_connection(
    peers: Peers, network: Network, agent: Agent
) -> None:
    """W05, W21: what runs when the connection is lost is answered over the next, once."""
    uuid, _ = peers.client(network).get("echo", {"uuid": fresh("echo")})
    first = peers.raw(agent.address)
    session = first.hello().id
    id = first.ask("cs", [uuid, "sleep", {"ms": 500}])
    assert first.call("cs", [uuid, "echo", 1]) == 1
    first.drop()
    again = peers.raw(agent.address, client_id=first.client_id)
    if again.hello().id == session:
        # It does nothing: the answer has to come by itself.
        assert again.answer_to(id).json() == {"slept": 500}
        return
    # Another uuid: it sends again, with the same id.
    again.ask("cs", [uuid, "sleep", {"ms": 500}], id)
    assert again.answer_to(id).json() == {"slept": 500}


@pytest.mark.covers("W05")
def test_a_request_in_flight_is_not_run_twice(
    peers: Peers, network: Network, agent: Agent
) -> None:
    """W05: a resend of what runs is dropped; there is one answer."""
    uuid, _ = peers.client(network).get("counter", {"uuid": fresh("counter")})
    echo, _ = peers.client(network).get("echo", {"uuid": fresh("echo")})
    raw = peers.raw(agent.address)
    raw.hello()
    for _ in range(3):
        raw.ask("cs", [echo, "sleep", {"ms": 300}], "slow")
    assert raw.answer_to("slow").json() == {"slept": 300}
    assert raw.call("cs", [uuid, "increment", None]) == {"value": 1}
    assert raw.call("cs", [uuid, "increment", None]) == {"value": 2}
    assert [frame.id for frame in raw.seen] == []


@pytest.mark.covers("W08", "frame 9 askHello server")
def test_silence(peers: Peers, network: Network, agent: Agent, room: str) -> None:
    """W08: a client that was silent for its aliveTimeout is forgotten, and the room told."""
    client = peers.client(network)
    raw = peers.raw(agent.address)
    raw.hello(alive_timeout=0.4)
    raw.call("cc", {"uuid": room})
    assert client.request(room, "members") == [raw.client_id]
    eventually("the room knows", lambda: client.request(room, "members") == [])
    raw.send(PING)
    raw.expect("askHello", lambda frame: frame.op == ASK_HELLO)


@pytest.mark.covers("W28", "method cs client → agent's ROUTER")
def test_requests_start_in_order_and_interleave(
    peers: Peers, network: Network, agent: Agent
) -> None:
    """W28 on the direct way."""
    holder, direct = peers.client(network), peers.direct(agent)
    counter, _ = holder.get("counter", {"uuid": fresh("counter")})
    echo, _ = holder.get("echo", {"uuid": fresh("echo")})
    slow = direct.start("cs", [echo, "sleep", {"ms": 1000}])
    asked = [direct.start("cs", [counter, "increment", None]) for _ in range(200)]
    assert [each.result(10)["value"] for each in asked] == list(range(1, 201))
    assert direct.request(echo, "echo", "fast") == "fast"
    assert not slow.done()
    slow.result(10)


@pytest.mark.covers("W09", "frame 1 request client")
def test_what_undefined_became(peers: Peers, network: Network, agent: Agent) -> None:
    """W09: data that is null, missing or undefined is null; the fourth frame may be absent."""
    uuid, _ = peers.client(network).get("echo", {"uuid": fresh("echo")})
    raw = peers.raw(agent.address)
    raw.hello()
    for number, params in enumerate([[uuid, "echo", None], [uuid, "echo"]]):
        raw.send_parts(b"1", f"{number}".encode(), text(["cs", params]).encode())
        assert raw.answer_to(f"{number}").json() is None


@pytest.mark.covers(
    "frame 3 responseError server", "method cc client → agent's ROUTER",
    "method cd client → agent's ROUTER", "method cs client → agent's ROUTER",
)
def test_wrong_requests(peers: Peers, network: Network, agent: Agent, room: str) -> None:
    """What cannot be done is an error; nothing ends the connection."""
    raw = peers.raw(agent.address)
    raw.hello()
    for payload in [
        "",
        "{",
        "7",
        "[]",
        '["cs"]',
        '["cs",{}]',
        '["cs",[7,"echo",null]]',
        '["cc",{}]',
        '["cc",{"uuid":7}]',
        '["cd",{}]',
        '["cd",null]',
        '["gg",{"kind":"echo","request":{}}]',
        '["ct",["agent",["room"]]]',
        '["al",{}]',
        '["??",{}]',
    ]:
        id = fresh("request")
        raw.send(REQUEST, id, payload)
        answer = raw.answer_to(id, within=5)
        assert answer.op == ERROR, (payload, answer)
        assert set(answer.json()) == {"message", "stack"}
    assert raw.call("cs", [room, "history", None]) == []
    for parts in ([b"2", b"x", b"{}"], [b"4", b"", b"[]"], [b"6", b""], [b"99", b"", b""], [b""]):
        raw.send_parts(*parts)
    assert raw.call("cs", [room, "history", None]) == []
    assert not [frame for frame in raw.seen if frame.op in (HELLO, RESPONSE)]


@pytest.mark.covers("W27")
def test_the_end_of_a_container(peers: Peers, programs: Programs) -> None:
    """W27: with its container a connection ends; the next life of the uuid knows nobody."""
    network = programs.network()
    agent = programs.agent(network)
    room = fresh("room")
    holder, direct = peers.client(network), peers.direct(agent)
    holder.get("chat-room", {"uuid": room})
    direct.call("cc", {"uuid": room})
    say(holder, room, "heard")
    eventually("it is heard", lambda: heard(direct) == [(room, "heard")])
    holder.release(room)

    def ended() -> bool:
        try:
            direct.request(room, "history")
        except PeerError:
            return True
        return False

    eventually("it ends", ended, 9)
    with pytest.raises(PeerError):
        direct.call("cd", {"uuid": room})
    holder.get("chat-room", {"uuid": room})
    assert holder.request(room, "members") == []
    say(holder, room, "not heard")
    assert direct.request(room, "history")[-1]["text"] == "not heard"
    assert heard(direct) == [(room, "heard")]


@pytest.mark.covers("W03", "method cs client → agent's ROUTER")
def test_while_the_server_is_away(
    peers: Peers, listeners: Listeners, programs: Programs
) -> None:
    """Soundness, leases: containers of kinds that are not exclusive are served directly meanwhile."""
    network = programs.network()
    agent = programs.agent(network)
    rust, typescript = listeners.rust(network), peers.direct(agent)
    room = fresh("room")
    rust.get("chat-room", room)
    rust.do("connect", name=room)
    typescript.call("cc", {"uuid": room})
    network.kill()
    eventually("the agent knows", lambda: agent.metric("huly_agent_session_up") == 0)
    rust.request_direct(room, "say", {"from": "eva", "text": "one"})
    say(typescript, room, "two")
    eventually("all hear it", lambda: len(heard(typescript)) == 2)
    eventually("all hear it", lambda: len(rust.events.get(room, [])) == 2)
    network.start()
    eventually("it is back", lambda: agent.id in json.dumps(rust.do("agents")))
    assert len(rust.request(room, "history")) == 2


@pytest.mark.covers("frame 4 event agent's ROUTER", "method cc client → agent's ROUTER")
def test_many_clients(peers: Peers, network: Network, agent: Agent, room: str) -> None:
    """An event goes to each who is connected, and a hello of another process to nobody else."""
    clients = [Raw(agent.address) for _ in range(20)]
    for client in clients:
        peers.stack.enter_context(client)
        client.hello()
        assert client.call("cc", {"uuid": room}) == 1
    say(peers.client(network), room, "to all")
    deadline = time.monotonic() + 10
    for client in clients:
        left = deadline - time.monotonic()
        event = client.expect("the event", lambda frame: frame.op == EVENT, left)
        assert event.json()[0] == room
