"""A container with a ROUTER of its own, as a TypeScript agent may have (W12, kind 1)."""

from concurrent.futures import Future
from typing import Any

from ts_listener import Known, Listener
from wire import DIRECT, text


class TypeScriptContainer(Listener):
    """The method is the operation itself, the params are its data, an event is its data alone."""

    of = "container"

    def __init__(self, agent: str, uuid: str):
        self.agent = agent
        self.container = uuid
        self.asked: list[tuple[str, str, Any]] = []
        """Client, operation and data of each request that ran."""
        self.waiting: list[Future] = []
        super().__init__()

    @property
    def endpoint(self) -> str:
        return text(
            {
                "kind": DIRECT,
                "host": "127.0.0.1",
                "port": self.port,
                "agentId": self.agent,
                "uuid": self.container,
            }
        )

    def answer(self, client: Known, method: str, params: Any) -> Any:
        self.asked.append((client.id, method, params))
        if method == "fail":
            raise RuntimeError("boom")
        if method == "wait":
            self.waiting.append(Future())
            return self.waiting[-1]
        return {"op": method, "data": params, "port": self.port}

    def broadcast(self, data: Any) -> None:
        for client in list(self.clients):
            self.send_event(client, data)
