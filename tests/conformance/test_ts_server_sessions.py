"""Sessions of our agent and our client at a TypeScript server: cut, restarted, hanging."""

import pytest

from conftest import Listeners, Programs
from rust_client import RustError
from ts_listener import NEVER, Known
from ts_scene import Scene
from wire import HELLO, RESPONSE, Frame, eventually, fresh


@pytest.fixture
def scene(listeners: Listeners, programs: Programs) -> Scene:
    return Scene(listeners, programs)


@pytest.mark.covers("W04", "frame 0 hello client")
def test_hello_at_every_connection(scene: Scene) -> None:
    """W04: one hello each time, of the same client and the same process."""
    server = scene.server
    for cuts in (1, 2):
        server.cut()
        for client in (scene.client, scene.agent_client):
            eventually("it says hello", lambda: len(scene.hellos(client)) == cuts + 1)
        scene.works()
    for client in (scene.client, scene.agent_client):
        said = [frame.json() for frame in scene.hellos(client)]
        assert len({hello["huly"]["nonce"] for hello in said}) == 1
        assert {hello["aliveTimeout"] for hello in said} == {3}
    # Of a session that went on nothing is asserted again.
    assert len(server.params("gg")) == 1


@pytest.mark.covers("W05")
def test_a_request_in_flight_when_the_connection_is_cut(scene: Scene) -> None:
    """W05: sent again with the same id, so that it runs once; its answer comes by the new way."""
    server = scene.server
    asked = scene.rust.ask(scene.room, "wait")
    eventually("it is sent", lambda: server.requests("cs"))
    server.cut()
    eventually("it is sent again", lambda: len(server.requests("cs")) == 2)
    first, again = server.requests("cs")
    assert (first.id, first.payload) == (again.id, again.payload)
    assert not asked.done()
    eventually("the agent is back", lambda: len(scene.hellos(scene.agent_client)) == 2)
    assert scene.call_back("cs", scene.room, "go", None).result(5)["n"] == 2
    assert asked.result(5)["n"] == 1
    scene.works()


@pytest.mark.covers("W05", "W22")
def test_an_answer_that_was_lost(scene: Scene) -> None:
    """W05, W22: the answer went with the connection: the request is sent again, with its id.

    It then runs again, as upstream: this server remembers no answers.
    """
    server = scene.server
    ran: list[object] = []

    def lose_the_first(client: Known, params: list) -> object:
        ran.append(params[2])
        if len(ran) > 1:
            return "answered"
        # Answered, for all that it knows.
        client.in_flight.clear()
        return NEVER

    server.instead["cs"] = lose_the_first
    asked = scene.rust.ask(scene.room, "echo", 7)
    eventually("it runs", lambda: ran)
    server.cut()
    assert asked.result(10) == "answered"
    assert len({frame.id for frame in server.requests("cs")}) == 1


@pytest.mark.covers("W22", "frame 2 response client")
def test_an_agents_answer_when_the_connection_is_cut(scene: Scene) -> None:
    """W22: the server has no time-out, so the answer must come over the new connection."""
    server = scene.server
    waiting = scene.call_back("cs", scene.room, "wait", None)
    # A later call of the same connection has been answered: the first one runs.
    assert scene.call_back("cs", scene.room, "echo", None).result(5)["n"] == 2
    server.cut()
    eventually("the agent is back", lambda: len(scene.hellos(scene.agent_client)) == 2)
    assert scene.call_back("cs", scene.room, "go", None).result(5)["n"] == 3
    assert waiting.result(5)["n"] == 1


@pytest.mark.covers("W04", "W23")
def test_the_server_restarts(scene: Scene, listeners: Listeners) -> None:
    """W04: another uuid: registered, held and asked again; the container has lived on (W23)."""
    server, rust = scene.server, scene.rust
    labelled = rust.get("chat-room", labels=["a"], name="labelled")["uuid"]
    assert rust.request("labelled", "echo")["n"] == 1
    asked = rust.ask(scene.room, "wait", idempotent=True)
    eventually("it is sent", lambda: server.requests("cs")[-1].json()[1][1] == "wait")
    [id] = {frame.id for frame in server.requests("cs") if frame.json()[1][1] == "wait"}
    registered, gets = len(server.params("ar")), len(server.params("gg"))
    server.restart()
    eventually("the agent registers", lambda: len(server.params("ar")) > registered)
    again = server.params("ar")[registered]
    assert {each["uuid"] for each in again["containers"]} == {scene.room, labelled}

    def held() -> bool:
        living = [server.containers.get(each) for each in (scene.room, labelled)]
        return all(each and scene.client in each.by for each in living)

    eventually("what is held is held again", held)
    # By its uuid, also what was asked for without one.
    assert {each["request"]["uuid"] for each in server.params("gg")[gets:]} == {
        scene.room,
        labelled,
    }
    assert {each["kind"] for each in server.params("gg")[gets:]} == {"room", "chat-room"}
    eventually("the request runs again", lambda: len(server.times(id)) > 1)
    assert rust.request("labelled", "echo")["n"] == 2
    eventually("it waits", lambda: scene.call_back("cs", scene.room, "go", None).result(5))
    assert asked.result(5)["op"] == "wait"
    assert not rust.look(scene.room)["gone"]


@pytest.mark.covers("W04")
def test_a_get_that_waits_when_the_server_restarts(scene: Scene) -> None:
    """W04: what is not answered is sent again with the same id, over a new connection or a restart."""
    server = scene.server
    server.instead["gg"] = lambda _client, _params: NEVER
    uuid = fresh("room")
    got = scene.rust.start("get", name=uuid, kind="room", uuid=uuid)

    def asked() -> list[Frame]:
        return [
            frame
            for frame in server.requests("gg")
            if frame.json()[1]["request"].get("uuid") == uuid
        ]

    eventually("it is asked for", lambda: len(asked()) == 1)
    server.cut()
    eventually("it is asked for again", lambda: len(asked()) == 2)
    server.restart()
    eventually("it is asked for again", lambda: len(asked()) == 3)
    assert len({(frame.id, frame.payload) for frame in asked()}) == 1
    assert not got.done()
    del server.instead["gg"]
    server.restart()
    assert got.result(10)["uuid"] == uuid


@pytest.mark.covers("W04")
def test_a_request_that_may_have_run_before_a_restart(scene: Scene) -> None:
    """Soundness: by the epoch in the endpoint text, or an unknown outcome: it never hangs."""
    server = scene.server
    asked = scene.rust.ask(scene.room, "wait")
    eventually("it is sent", lambda: server.requests("cs"))
    server.restart()
    eventually("the room is held", scene.is_held)
    try:
        eventually(
            "it is answered",
            lambda: scene.call_back("cs", scene.room, "go", None).result(5) and asked.done(),
        )
        assert asked.result(0)["op"] == "wait"
    except RustError as error:
        assert error.kind == "OutcomeUnknown"
    scene.works()


@pytest.mark.covers("W23")
def test_an_old_answer_never_matches_a_new_call(scene: Scene) -> None:
    """W23: after a restart ids begin at 0 again; what was called before answers nothing."""
    server = scene.server
    server.restart()
    eventually("the agent is back", lambda: scene.agent.id in server.agents)
    eventually("the room is held", scene.is_held)
    number = server._counter
    old = scene.call_back("cs", scene.room, "wait", "old")
    assert scene.call_back("cs", scene.room, "echo", None).result(5)
    server.restart()
    eventually("the agent is back", lambda: scene.agent.id in server.agents)
    eventually("the room is held", scene.is_held)
    assert server._counter <= number
    server._counter = number
    new = scene.call_back("cs", scene.room, "wait", "new")
    assert scene.call_back("cs", scene.room, "echo", None).result(5)
    before = len(server.frames(RESPONSE, scene.agent_client))
    scene.call_back("cs", scene.room, "go", None).result(5)
    assert new.result(5)["data"] == "new"
    assert scene.call_back("cs", scene.room, "echo", None).result(5)
    # Those of go, wait and echo.
    assert len(server.frames(RESPONSE, scene.agent_client)) == before + 3
    assert not old.done()


@pytest.mark.covers("W07", "frame 9 askHello server")
def test_ask_hello(scene: Scene) -> None:
    """W07: who is asked for hello says it, and forgets the uuid that it knew: all is said again."""
    server = scene.server

    def ask(client: str) -> None:
        hellos = len(scene.hellos(client))
        server.forget_client(client)
        eventually("it says hello again", lambda: len(scene.hellos(client)) > hellos)

    ask(scene.agent_client)
    eventually("the agent registers", lambda: scene.agent.id in server.agents)
    ask(scene.client)
    eventually("the room is held", scene.is_held)
    scene.works()


@pytest.mark.covers("W15", "W21")
def test_the_room_comes_back_late(scene: Scene) -> None:
    """W15, W21: a get again fails while the agent is not registered yet; it is tried on."""
    server = scene.server
    register = server.answer
    held: list[bool] = []

    def refuse(client: object, params: object) -> object:
        if not held:
            raise RuntimeError("not yet")
        return register(client, "ar", params)

    server.instead["ar"] = refuse
    gets = len(server.params("gg"))
    server.restart()
    eventually("it gets again", lambda: len(server.params("gg")) > gets + 1)
    held.append(True)
    eventually("the agent registers", lambda: scene.agent.id in server.agents)
    eventually("the room is held", scene.is_held)
    scene.works()


@pytest.mark.covers("W08")
def test_a_cut_longer_than_its_time(scene: Scene) -> None:
    """W08: the server forgot them meanwhile and has the same uuid: they must not rely on that.

    A TypeScript peer would do nothing: its agent stays unregistered, its references lost.
    """
    server = scene.server
    server.forget_after_a_cut(scene.client, scene.agent_client)
    eventually("the agent registers", lambda: scene.agent.id in server.agents)
    eventually("the room is held", scene.is_held)
    scene.works()


@pytest.mark.covers("W04", "W07")
def test_a_server_that_hangs(scene: Scene) -> None:
    """Soundness, sessions: whose pongs stay away is dialled again, and served when it is back."""
    server = scene.server
    server.deaf = True

    def dialled() -> bool:
        said = [frame.id for _, frame in server.unheard if frame.op == HELLO]
        return {scene.client, scene.agent_client} <= set(said)

    eventually("both dial again", dialled)
    asked = scene.rust.ask(scene.room, "echo", 1, idempotent=True)
    server.deaf = False
    assert asked.result(15)["data"] == 1
    scene.works()
