"""What real TypeScript peers said, said to ours: it answers the same."""

import pytest

import plain_listener
from conftest import Listeners, Peers, Programs
from plain import violations
from programs import Network
from replay import Replay
from transcripts import STATELESS, Differences, Line, comparable, recorded
from wire import ASK_HELLO, ERROR, EVENT, HELLO, REQUEST, RESPONSE, Frame


@pytest.mark.covers(
    "W01", "frame 0 hello client", "frame 0 hello server", "frame 1 request client",
    "frame 1 request server", "frame 2 response client", "frame 2 response server",
    "frame 3 responseError client", "frame 3 responseError server",
)
def test_the_recorded_network(peers: Peers, network: Network) -> None:
    """The recorded session of clients and an agent with our server, frame by frame."""
    replay = Replay(peers, network.address, Differences("network", "server"))
    unheard: set[str] = set()

    def is_end_of_stateless(line: Line) -> bool:
        if line.frame.op == REQUEST and not line.said and line.call[0] == "ct":
            return line.call[1][1] == [STATELESS]
        return False

    for line in recorded("network"):
        if is_end_of_stateless(line):
            replay.differences.meet("a stateless container is not ended after its release")
            unheard.add(line.frame.id)
        elif line.said and line.frame.op == RESPONSE and line.frame.id in unheard:
            unheard.remove(line.frame.id)
        elif line.said:
            replay.say(line)
        else:
            replay.hear(line)
            replay.ended[line.peer].discard(STATELESS)
    assert replay.heard == 28
    replay.check()


@pytest.mark.covers("W04", "W05", "W07", "W19", "W21", "frame 9 askHello server")
def test_the_recorded_restart(peers: Peers, programs: Programs) -> None:
    """W04, W19, W21: two agents, a client, and a server that is killed and started."""
    network = programs.network()
    replay = Replay(peers, network.address, Differences("restart", "server"))
    restarted, turned, answered = False, False, set()
    for line in recorded("restart"):
        if line.frame.op == ASK_HELLO and not restarted:
            restarted = True
            network.kill()
            network.start()
        if line.said:
            if line.frame.op == REQUEST and line.call[0] == "gg" and not turned:
                turned = True
                replay.differences.meet("of two agents the first to register is the first in turn")
                replay.take_a_turn("peer1", "room")
            replay.say(line)
        elif line.frame.op == RESPONSE and line.frame.payload == f'["{STATELESS}"]':
            replay.differences.meet(
                "the answer to the second agent's ar does not name the stateless uuid"
            )
            replay.hear_answer(line, [])
        elif line.frame.op == RESPONSE and (line.peer, line.frame.id) in answered:
            replay.differences.meet("a get that is sent twice with one id is answered once")
        else:
            replay.hear(line)
            if line.frame.op == RESPONSE:
                answered.add((line.peer, line.frame.id))
    replay.check()


@pytest.mark.covers(
    "W12", "W27", "frame 4 event agent's ROUTER", "method cc client → agent's ROUTER",
    "method cd client → agent's ROUTER", "method cs client → agent's ROUTER",
)
def test_the_recorded_agent(peers: Peers, listeners: Listeners, programs: Programs) -> None:
    """W12, W27: the recorded client of an agent's own ROUTER, at ours."""
    server = listeners.server()
    agent = programs.recorded_agent(server)
    [client] = server.clients

    def call(method: str, *params: object) -> object:
        return server.call_back(client, method, [agent.id, list(params)]).result(5)

    call("gg", "chat-room", {"uuid": "room-general"})
    # Before the record begins it was asked something through the network.
    assert call("cs", "room-general", "echo", None)["n"] == 1
    replay = Replay(peers, agent.address, Differences("agent", "agent"), of="agent")
    for line in recorded("agent"):
        asked = replay.methods.get((line.peer, line.frame.id))
        if line.said:
            if line.frame.op == REQUEST and line.ms > 10_000:
                # The room had been without a reference for long.
                call("ct", "room-general")
            replay.say(line)
        elif asked == "cc":
            replay.differences.meet("cc answers how many containers are connected")
            assert comparable(line.frame.payload) == 0
            replay.hear_answer(line, 1)
        elif line.frame.op == ERROR:
            replay.differences.meet("another text when a container is not there")
            replay.await_frame(line, lambda other: (other.op, other.id) == (ERROR, line.frame.id))
        else:
            replay.hear(line)
    replay.check()


@pytest.mark.parametrize("name", ["network", "restart", "agent"])
def test_the_rules_for_plain_peers_fit_the_original(name: str) -> None:
    """`plain.py` refuses nothing that the original server said, so it refuses no more than that."""
    asked: dict[str, str] = {}
    for line in recorded(name):
        if line.said:
            if line.frame.op == REQUEST:
                asked[line.frame.id] = line.call[0]
            continue
        # The original leaves endpoints of containers empty; ours may not (W10).
        payload = line.frame.payload.replace('"endpoint":""', '"endpoint":"{}"')
        frame = Frame(line.frame.op, line.frame.id, payload)
        method = "agent" if name == "agent" and frame.op == EVENT else asked.get(frame.id)
        assert violations(frame, None if frame.op in (REQUEST, HELLO) else method) == []


@pytest.mark.parametrize("name", ["network", "restart", "agent"])
def test_the_rules_for_those_who_connect_fit_the_original(name: str) -> None:
    """`plain_listener.py` refuses nothing that the original's clients and agents said."""
    of = "agent" if name == "agent" else "network"
    called: dict[tuple[str, str], str] = {}
    said = 0
    for line in recorded(name):
        key = (line.peer, line.frame.id)
        if line.said:
            said += 1
            assert plain_listener.violations(line.frame, called.get(key), of) == []
        elif line.frame.op == REQUEST:
            called[key] = line.call[0]
    assert said > 5
