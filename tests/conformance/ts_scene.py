"""A TypeScript server with a Rust agent and a Rust client, for tests of their sessions there."""

from concurrent.futures import Future

from conftest import Listeners, Programs
from rust_client import RustClient
from ts_server import TypeScriptServer
from wire import HELLO, Frame, fresh


class Scene:
    """A TypeScript server, a Rust agent and a Rust client that holds a room there."""

    def __init__(self, listeners: Listeners, programs: Programs):
        self.server: TypeScriptServer = listeners.server()
        self.agent = programs.recorded_agent(self.server)
        self.agent_client = self.server.agents[self.agent.id].client
        self.rust: RustClient = listeners.rust(self.server)
        self.room = fresh("room")
        self.rust.get("room", self.room)
        [self.client] = self.server.containers[self.room].by

    def call_back(self, method: str, *params: object) -> Future:
        return self.server.call_back(self.agent_client, method, [self.agent.id, list(params)])

    def hellos(self, client: str) -> list[Frame]:
        return self.server.frames(HELLO, client)

    def is_held(self) -> bool:
        living = self.server.containers.get(self.room)
        return bool(living and self.client in living.by)

    def works(self) -> None:
        before = self.rust.request(self.room, "before")["n"]
        assert self.rust.request(self.room, "after")["n"] == before + 1
