"""The ROUTER of a TypeScript agent: `cc`, `cd`, `cs`, and events to who is connected (W12, W27)."""

import json
import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from peers import respond
from wire import CONTEXT, ERROR, EVENT, HELLO, PING, PONG, REQUEST, RESPONSE, text


class Router:
    """Listens on a free port, on a thread of its own. `ask` has a container answer a request."""

    def __init__(
        self,
        ask: Callable[[str, list[Any]], Any],
        container: Callable[[str], Any],
    ):
        self.uuid = str(uuid.uuid4())
        self.connected: dict[str, set[bytes]] = {}
        self.requests: list[tuple[str, Any]] = []
        self._ask = ask
        self._container = container
        self._queue: deque[list[bytes]] = deque()
        self._stop = threading.Event()
        self._socket = CONTEXT.socket(zmq.ROUTER)
        self._socket.linger = 0
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1", 20000, 30000)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def broadcast(self, uuid_: str, data: Any) -> None:
        # Queued: a routed request runs on the client's thread, the socket belongs to this one.
        for identity in self.connected.get(uuid_, ()):
            self._send(identity, EVENT, "", text([uuid_, data]))

    def _run(self) -> None:
        while not self._stop.is_set():
            while self._queue:
                self._socket.send_multipart(self._queue.popleft())
            if self._socket.poll(20):
                identity, *parts = self._socket.recv_multipart()
                self._take(identity, [part.decode() for part in parts])
        self._socket.close()

    def _send(self, identity: bytes, op: int, id: str, payload: str = "") -> None:
        self._queue.append([identity, str(op).encode(), id.encode(), payload.encode()])

    def _take(self, identity: bytes, parts: list[str]) -> None:
        op, id, payload = int(parts[0]), parts[1], parts[2] if len(parts) > 2 else ""
        if op == HELLO:
            self._send(identity, HELLO, self.uuid)
        elif op == PING:
            self._send(identity, PONG, self.uuid)
        elif op == REQUEST:
            method, params = json.loads(payload)
            self.requests.append((method, params))
            respond(
                lambda: self._call(identity, method, params),
                lambda value: self._send(identity, RESPONSE, id, text(value)),
                lambda error: self._send(
                    identity, ERROR, id, text({"message": str(error), "stack": "Error"})
                ),
            )

    def _call(self, identity: bytes, method: str, params: Any) -> Any:
        if method == "cs":
            return self._ask("cs", params)
        uuids = params["uuid"] if isinstance(params["uuid"], list) else [params["uuid"]]
        for uuid_ in uuids:
            self._container(uuid_)
            clients = self.connected.setdefault(uuid_, set())
            if method == "cc":
                clients.add(identity)
            else:
                clients.discard(identity)
        return len(uuids) if method == "cc" else "ok"
