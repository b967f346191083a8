"""Our agent and our client at a TypeScript server that says what is wrong: they go on."""

import json

import pytest

from conftest import Listeners, Programs
from rust_client import RustError
from ts_listener import NEVER
from ts_scene import Scene
from wire import ERROR, EVENT, HELLO, PONG, RESPONSE, RETRY, eventually, fresh


@pytest.fixture
def scene(listeners: Listeners, programs: Programs) -> Scene:
    return Scene(listeners, programs)


GARBAGE = [
    [b""],
    [b"", b"", b""],
    [b"x", b"y", b"z"],
    [b"-1", b"", b""],
    [b"99", b"a", b"{}"],
    [b"4294967296", b"a", b"{}"],
    [b"\xff\xfe", b"\xff", b"\xff"],
    [b"2"],
    [b"2", b"never-asked", b"{"],
    [b"3", b"never-asked", b"7"],
    [b"4", b"", b"{"],
    [b"4", b"", b"null"],
    [b"4", b"", b'{"agents":7,"containers":{}}'],
    [b"4", b"", b'{"containers":[{"container":null,"event":9}]}'],
    [b"4", b"", b'{"held":[{"uuid":7}],"feed":1,"term":"x","superseded":[]}'],
    [b"4", b"", b"[" * 100_000],
    [b"5", b"", b""],
    [b"6", b"", b"not a number"],
    [b"6"],
    [b"7", b"never-asked", b"x"],
    [b"7", b"never-asked", b"1e999"],
    [b"8", b"", b""],
    [b"1"],
    [b"1", b"", b"[]"],
    [b"0"],
]
"""No frame of a server's, or one that means nothing; none is a request with an id."""


@pytest.mark.covers("W02", "frame 4 event server", "frame 6 pong server", "frame 7 retry server")
@pytest.mark.parametrize("whose", ["client", "agent"])
def test_garbage(scene: Scene, whose: str) -> None:
    """What cannot be read is ignored, and never ends a peer or its connection."""
    server = scene.server
    client = {"client": scene.client, "agent": scene.agent_client}[whose]
    for parts in GARBAGE:
        server.say_parts(client, parts)
        scene.works()
    assert scene.rust.running and scene.agent.running
    assert len(scene.hellos(client)) == 1
    assert len(server.params("gg")) == 1


@pytest.mark.covers(
    "frame 2 response server", "frame 3 responseError server", "frame 7 retry server",
)
def test_garbage_about_what_is_asked(scene: Scene) -> None:
    """A retry or an answer that cannot be read, to a request that waits: it does not hang."""
    server = scene.server
    server.instead["al"] = lambda _client, _params: NEVER
    for op, payload in [
        (RETRY, "x"),
        (RETRY, "-1"),
        (RESPONSE, "{"),
        (RESPONSE, ""),
        (RESPONSE, b"\xff"),
        (ERROR, "7"),
        (ERROR, ""),
        (ERROR, '{"message":7,"stack":[]}'),
    ]:
        asked = len(server.requests("al"))
        waiting = scene.rust.start("agents")
        eventually("it is asked", lambda: len(server.requests("al")) > asked)
        id = server.requests("al")[-1].id
        server.say(scene.client, op, id, payload)
        if op == RETRY:
            # As one that says 1: after half a second.
            eventually("it is asked again", lambda: len(server.times(id)) == 2)
            server.say(scene.client, RESPONSE, id, "[]")
            assert waiting.result(5) == []
        else:
            with pytest.raises(RustError):
                waiting.result(5)
    scene.works()


@pytest.mark.covers("W30", "method gg client → server")
@pytest.mark.parametrize(
    "answer",
    [None, 7, "", [], ["only"], [7, 8], [None, None], {"uuid": "a"}, ["another", "{}"]],
    ids=json.dumps,
)
def test_wrong_answers_to_a_get(scene: Scene, answer: object) -> None:
    """W30: no such answer is a container of ours, another uuid than asked among them."""
    scene.server.instead["gg"] = lambda _client, _params: answer
    with pytest.raises(RustError):
        scene.rust.get("room", fresh("room"), deadlineMs=3000)
    del scene.server.instead["gg"]
    scene.works()


@pytest.mark.covers("method ar client → server")
@pytest.mark.parametrize("answer", [7, "ok", {"a": 1}, [7]], ids=json.dumps)
def test_wrong_answers_to_a_registration(scene: Scene, answer: object) -> None:
    """An agent goes on, and registers until it is understood."""
    server = scene.server
    register = server.answer
    wrong = [answer]

    def misunderstand(client: object, params: object) -> object:
        return wrong.pop() if wrong else register(client, "ar", params)

    server.instead["ar"] = misunderstand
    server.restart()
    eventually("the agent is registered", lambda: scene.agent.id in server.agents)
    eventually("the room is held", scene.is_held)
    scene.works()


@pytest.mark.covers(
    "method al client → server", "method ak client → server", "method cl client → server",
)
@pytest.mark.parametrize("answer", [None, 7, {}, [7], [{"agentId": 7}]], ids=json.dumps)
def test_wrong_answers_to_lists(scene: Scene, answer: object) -> None:
    """A list that is none is an error of the protocol, and harms nothing."""
    server = scene.server
    for method, command in [("al", "agents"), ("ak", "kinds"), ("cl", "containers")]:
        if method == "ak" and answer is None:
            continue
        server.instead[method] = lambda _client, _params: answer
        with pytest.raises(RustError) as failed:
            scene.rust.do(command, **({"kind": None} if method == "cl" else {}))
        assert failed.value.kind == "Protocol"
    scene.works()


@pytest.mark.covers("W11", "W25")
def test_events_of_others(scene: Scene) -> None:
    """W11, W25: what happens to other containers changes nothing of ours."""
    record = {
        "agentId": fresh("agent"),
        "uuid": fresh("room"),
        "kind": "room",
        "endpoint": "",
        "lastVisit": 1.5,
        "labels": None,
        "extra": None,
    }
    before = scene.rust.look(scene.room)
    for event in range(3):
        agents = [{"id": record["agentId"], "kinds": ["room"], "event": event}]
        containers = [{"container": record, "event": event}]
        for client in (scene.client, scene.agent_client):
            scene.server.send_event(client, {"agents": agents, "containers": containers})
    scene.works()
    assert scene.rust.look(scene.room) == before
    assert scene.server.frames(EVENT) == []


@pytest.mark.covers("W04", "frame 0 hello server", "frame 6 pong server")
def test_a_hello_that_nobody_asked_for(scene: Scene) -> None:
    """With the same uuid, in the middle of a session: it changes nothing."""
    server = scene.server
    for client in (scene.client, scene.agent_client):
        server.say(client, HELLO, server.uuid)
        server.say(client, PONG, server.uuid)
    scene.works()
    assert len(server.params("ar")) == 1
    assert len(server.params("gg")) == 1
