"""Our client at a container that listens itself (kind 1), of a TypeScript agent."""

import json
from collections.abc import Iterator

import pytest

from conftest import Listeners, Peers, Programs
from programs import Network
from rust_client import RustClient, RustError
from ts_agent import TypeScriptAgent
from ts_container import TypeScriptContainer
from wire import CLOSE, HELLO, PING, eventually, fresh


class Scene:
    """A room that listens itself, and a Rust client that is connected with it."""

    def __init__(self, listeners: Listeners, peers: Peers, network: Network, patient: bool = True):
        self.kind, self.uuid = fresh("kind"), fresh("room")
        self.listeners = listeners
        self.agent: TypeScriptAgent = peers.agent(network, [self.kind])
        self.container: TypeScriptContainer = self.listen()
        # The agent says where its container listens, at its start and whenever it registers.
        self.agent.endpoint_of = lambda _uuid: self.container.endpoint
        self.rust: RustClient = listeners.rust(network)
        self.rust.get(self.kind, self.uuid)
        self.rust.do("connect", name=self.uuid)
        if patient:
            self.await_direct()

    def await_direct(self) -> None:
        eventually("it is direct", lambda: self.rust.look(self.uuid)["direct"])

    def listen(self) -> TypeScriptContainer:
        return self.listeners.listen(TypeScriptContainer(self.agent.id, self.uuid))

    def ask(self, operation: str, data: object = None, **more: object) -> object:
        return self.rust.request_direct(self.uuid, operation, data, **more)

    def routed(self) -> int:
        """How many requests have come through the network."""
        return len(self.agent.calls_of("cs"))


@pytest.fixture
def scene(listeners: Listeners, peers: Peers, network: Network) -> Iterator[Scene]:
    yield Scene(listeners, peers, network)


@pytest.mark.covers("W12", "frame 4 event container's ROUTER")
def test_connect_waits_for_the_connection(
    listeners: Listeners, peers: Peers, network: Network
) -> None:
    """Who is connected is told every event from then on: the connection is there by then."""
    scene = Scene(listeners, peers, network, patient=False)
    scene.container.broadcast("first")
    scene.rust.do("agents")
    assert scene.rust.look(scene.uuid)["direct"]
    eventually("it is heard", lambda: scene.rust.events.get(scene.uuid) == ["first"], 5)


@pytest.mark.covers("W12", "method OPERATION client → container's ROUTER")
def test_requests(scene: Scene) -> None:
    """W12: the method is the operation, the params are its data."""
    assert scene.ask("greet", {"v": [1, None]})["data"] == {"v": [1, None]}
    assert scene.ask("nothing")["data"] is None
    with pytest.raises(RustError, match="boom") as failed:
        scene.ask("fail")
    assert failed.value.kind == "Failed"
    [client] = scene.container.clients
    assert scene.container.asked == [
        (client, "greet", {"v": [1, None]}),
        (client, "nothing", None),
        (client, "fail", None),
    ]
    assert scene.routed() == 0
    # Through the reference it still goes through the network.
    scene.rust.request(scene.uuid, "echo")
    assert scene.routed() == 1


@pytest.mark.covers("frame 4 event container's ROUTER")
def test_events(scene: Scene) -> None:
    """An event of a direct container is just its data, whatever that is."""
    said = [{"type": "said"}, [scene.uuid, 7], "text", 7, None, [1, 2, 3]]
    for data in said:
        scene.container.broadcast(data)
    eventually("all are heard", lambda: scene.rust.events.get(scene.uuid) == said)


@pytest.mark.covers(
    "W04", "W07", "W08", "frame 0 hello client", "frame 5 ping client", "frame 8 close client",
)
def test_hello_pings_and_close(scene: Scene) -> None:
    """W04, W07, W08 on a direct connection."""
    container = scene.container
    [client] = container.clients
    [hello] = container.frames(HELLO)
    assert hello.id == client
    eventually("it pings", lambda: container.frames(PING, client))
    container.cut()
    eventually("it says hello again", lambda: len(container.frames(HELLO, client)) == 2)
    scene.await_direct()
    assert scene.ask("echo", 1)["data"] == 1
    container.broadcast("again")
    eventually("events come again", lambda: scene.rust.events.get(scene.uuid) == ["again"])
    scene.rust.do("disconnect", name=scene.uuid)
    eventually("it is closed", lambda: container.frames(CLOSE, client))


@pytest.mark.covers("W12", "W17", "W25")
def test_its_endpoint_moves(scene: Scene) -> None:
    """W17, W25: `updated` with another endpoint closes the connection and dials the new one."""
    before = scene.container
    after = scene.container = scene.listen()
    scene.agent.client.register(scene.agent).result(5)
    eventually(
        "the endpoint moves",
        lambda: json.loads(scene.rust.look(scene.uuid)["endpoint"])["port"] == after.port,
    )
    scene.await_direct()
    assert scene.ask("echo")["port"] == after.port
    eventually("the former one is closed", lambda: not before.clients)
    assert before.frames(CLOSE)
    after.broadcast("from the new one")
    eventually("its events come", lambda: scene.rust.events.get(scene.uuid))
    assert scene.rust.events[scene.uuid] == ["from the new one"]


@pytest.mark.covers("method OPERATION client → container's ROUTER")
def test_a_request_in_flight_when_it_is_cut(scene: Scene) -> None:
    """Soundness, requests: it gets an answer or an unknown outcome; it never hangs."""
    asked = scene.rust.start(
        "requestDirect", name=scene.uuid, ask={"operation": "wait", "timeoutMs": 5000}
    )
    eventually("it runs", lambda: scene.container.waiting)
    scene.container.cut()
    # It goes on through the network; this agent cannot know that it ran before.
    eventually(
        "it is answered or asked again",
        lambda: asked.done() or scene.agent.containers[scene.uuid].waiting,
    )
    for waiting in scene.agent.containers[scene.uuid].waiting:
        waiting.set_result("routed")
    try:
        assert asked.result(5) == "routed"
    except RustError as error:
        assert error.kind == "OutcomeUnknown"


@pytest.mark.covers("W03", "method cs client → server")
def test_it_is_gone(scene: Scene) -> None:
    """While nobody listens there, requests go through the network."""
    scene.container.close()
    eventually("it is not direct", lambda: not scene.rust.look(scene.uuid)["direct"])
    assert scene.ask("echo", 1)["data"] == 1
    assert scene.routed() == 1


@pytest.mark.covers(
    "W12", "W27", "frame 4 event agent's ROUTER", "method cc client → agent's ROUTER",
    "method cd client → agent's ROUTER", "method cs client → agent's ROUTER",
)
def test_the_agents_own_router(listeners: Listeners, peers: Peers, network: Network) -> None:
    """W12, W27: a kind 0 endpoint: `cc`, `cs`, `[uuid, data]`, `cd` at a TypeScript agent."""
    kind, uuid, other = fresh("kind"), fresh("room"), fresh("room")
    agent = peers.agent(network, [kind], router=True)
    router = listeners.listen(agent.router)
    rust = listeners.rust(network)
    for each in (uuid, other):
        rust.get(kind, each)
    rust.do("connect", name=uuid)
    assert rust.request_direct(uuid, "say", "hello") == {
        "op": "say",
        "data": "hello",
        "n": 1,
        "hasClient": True,
    }
    said = [{"type": "said", "text": "hello"}]
    eventually("the event comes", lambda: rust.events.get(uuid) == said)
    rust.request(other, "say", "nobody hears")
    rust.do("connect", name=other)
    rust.request_direct(other, "say", "more")
    eventually("the other's comes", lambda: len(rust.events.get(other, [])) == 1)
    assert rust.events[uuid] == said
    assert [one(params) for params in router.params("cc")] == [uuid, other]
    rust.do("disconnect", name=uuid)
    eventually("cd is said", lambda: router.params("cd"))
    assert one(router.params("cd")[0]) == uuid

    # Ours says cc again: it need not rely on being kept by its client id.
    router.restart()
    eventually("it is connected again", lambda: len(router.params("cc")) == 3)
    assert one(router.params("cc")[2]) == other
    eventually("it is direct", lambda: rust.look(other)["direct"])
    rust.request_direct(other, "say", "once more")
    eventually("events come again", lambda: len(rust.events[other]) == 2)
    # One of them through the network.
    assert len(agent.calls_of("cs")) == len(router.params("cs")) + 1 == 4


@pytest.mark.covers("W12", "W25", "method OPERATION client → container's ROUTER")
def test_a_typescript_network_with_all(listeners: Listeners, programs: Programs) -> None:
    """A TypeScript server and container, a Rust client: direct, then moved by `updated`."""
    server = listeners.server(events_every=0.1)
    kind, uuid = fresh("kind"), fresh("room")
    agent = listeners.agent(server, [kind])
    container = listeners.listen(TypeScriptContainer(agent.id, uuid))
    agent.endpoint_of = lambda _uuid: container.endpoint
    rust = listeners.rust(server)
    rust.get(kind, uuid)
    rust.do("connect", name=uuid)
    eventually("it is direct", lambda: rust.look(uuid)["direct"])
    assert rust.request_direct(uuid, "echo", 1)["port"] == container.port
    # An added that is not told yet swallows the updated (W11), and clients heed no added (W25).
    eventually("added was told", lambda: not server.untold())
    former, container = container, listeners.listen(TypeScriptContainer(agent.id, uuid))
    agent.client.register(agent).result(5)
    eventually("it is dialled", lambda: container.clients)
    eventually("it is direct", lambda: rust.look(uuid)["direct"])
    assert rust.request_direct(uuid, "echo", 1)["port"] == container.port
    eventually("the former one is closed", lambda: not former.clients)


def one(params: dict) -> str:
    """The one container that a `cc` or `cd` names, as a text or as a list."""
    uuid = params["uuid"]
    if isinstance(uuid, list):
        [uuid] = uuid
    return uuid
