"""The ROUTER of a TypeScript agent: `cc`, `cd`, `cs`, and events to who is connected (W12, W27)."""

from collections.abc import Callable
from typing import Any

from ts_listener import Known, Listener


class Router(Listener):
    """Listens on a free port, on a thread of its own. `ask` has a container answer a request.

    It keeps who is connected by client id, over a reconnect as well, until `cd`, close or the
    client's silence.
    """

    of = "agent"

    def __init__(self, ask: Callable[[str, list[Any]], Any], container: Callable[[str], Any]):
        self.connected: dict[str, set[str]] = {}
        """By container the clients."""
        self.asked: list[tuple[str, Any]] = []
        """Method and params of each request."""
        self._ask = ask
        self._container = container
        super().__init__()

    def broadcast(self, uuid_: str, data: Any) -> None:
        # A routed request runs on the client's thread, the socket belongs to this one.
        for client in list(self.connected.get(uuid_, ())):
            if client in self.clients:
                self.send_event(client, [uuid_, data])

    def answer(self, client: Known, method: str, params: Any) -> Any:
        self.asked.append((method, params))
        if method == "cs":
            return self._ask("cs", params)
        uuids = params["uuid"] if isinstance(params["uuid"], list) else [params["uuid"]]
        for uuid_ in uuids:
            self._container(uuid_)
            clients = self.connected.setdefault(uuid_, set())
            if method == "cc":
                clients.add(client.id)
            else:
                clients.discard(client.id)
        return len(uuids) if method == "cc" else "ok"

    def gone(self, client: Known) -> None:
        for clients in self.connected.values():
            clients.discard(client.id)

    def forget(self) -> None:
        self.connected.clear()
