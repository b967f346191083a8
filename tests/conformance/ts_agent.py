"""An agent that behaves as the TypeScript one does, served by a client; with a ROUTER if asked."""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from peers import TypeScriptClient
from ts_router import Router
from wire import DIRECT, NO_CONNECTION, REMOVED, ROUTED, text


class Container:
    """Counts what it is asked; answers `{"op", "data", "n", "hasClient"}`, as in the transcripts.

    `fail` fails, `wait` answers when the test fulfils its future in `waiting`, `say` broadcasts.
    """

    def __init__(self, agent: "TypeScriptAgent", uuid: str, kind: str, request: dict[str, Any]):
        self.agent = agent
        self.uuid = uuid
        self.kind = kind
        self.request = request
        self.made = time.time() * 1000
        self.calls: list[tuple[str, Any]] = []
        self.waiting: list[Future] = []

    def call(self, operation: str, data: Any) -> Any:
        self.calls.append((operation, data))
        if operation == "fail":
            raise RuntimeError("boom")
        if operation == "wait":
            self.waiting.append(Future())
            return self.waiting[-1]
        if operation == "say":
            self.agent.broadcast(self.uuid, {"type": "said", "text": data})
        return {
            "op": operation,
            "data": data,
            "n": len(self.calls),
            "hasClient": self.agent.has_client(self.uuid),
        }

    def record(self) -> dict[str, Any]:
        # Neither labels nor extra (W24).
        return {
            "agentId": self.agent.id,
            "uuid": self.uuid,
            "endpoint": self.agent.endpoint_of(self.uuid),
            "kind": self.kind,
            "lastVisit": self.made,
        }


class TypeScriptAgent:
    """Hosts containers of the given kinds; `stateless` are made beforehand, uuid to kind (W19)."""

    def __init__(
        self,
        kinds: list[str],
        stateless: dict[str, str] | None = None,
        router: bool = False,
    ):
        self.id = str(uuid.uuid4())
        self.kinds = kinds
        self.client: TypeScriptClient | None = None
        self.containers: dict[str, Container] = {}
        self.terminated: list[str] = []
        self.calls: list[tuple[str, Any]] = []
        self.get_answer: Callable[[str, dict[str, Any]], Any] | None = None
        """Answers a get in the agent's stead, for tests of agents that do it wrong."""
        self.router = Router(self.call, self.container) if router else None
        for uuid_, kind in (stateless or {}).items():
            self.containers[uuid_] = Container(self, uuid_, kind, {})

    def serve_at(self, address: str, alive_timeout: float = 3) -> "TypeScriptAgent":
        """Connects a client of its own to the network and registers there."""
        self.client = TypeScriptClient(address, alive_timeout).__enter__()
        self.client.serve(self)
        return self

    def __enter__(self) -> "TypeScriptAgent":
        return self

    def __exit__(self, *_: object) -> None:
        if self.client:
            self.client.close()
        if self.router:
            self.router.close()

    def unregister(self) -> Any:
        return self.client.call("au", {"uuid": self.id})

    def registration(self) -> dict[str, Any]:
        return {
            "uuid": self.id,
            "containers": [each.record() for each in self.containers.values()],
            "kinds": self.kinds,
            "endpoint": self._endpoint(DIRECT, None) if self.router else None,
        }

    def registered(self, to_end: list[str]) -> None:
        for ended in to_end:
            self._terminate(ended)

    def call(self, method: str, params: list[Any]) -> Any:
        self.calls.append((method, params))
        match method:
            case "gg":
                return self._get(*params)
            case "cl":
                kind = params[0] if params else None
                return [
                    each.record()
                    for each in self.containers.values()
                    if kind is None or each.kind == kind
                ]
            case "cs":
                uuid_, operation, data = params
                return self.container(uuid_).call(operation, data)
            case "ct":
                self._terminate(params[0])
                return ""
        raise RuntimeError(f"Unknown method {method}")

    def network_event(self, event: dict[str, Any]) -> None:
        for entry in event["containers"]:
            uuid_ = entry["container"]["uuid"]
            if entry["event"] == REMOVED and uuid_ in self.containers:
                if entry["container"]["agentId"] != self.id:
                    # Its standby: registers again and the first wins (W26).
                    timer = threading.Timer(0.1, self.client.register, [self])
                    timer.daemon = True
                    timer.start()

    def calls_of(self, method: str) -> list[Any]:
        return [params for called, params in list(self.calls) if called == method]

    def broadcast(self, uuid_: str, data: Any) -> None:
        if self.router:
            self.router.broadcast(uuid_, data)

    def has_client(self, uuid_: str) -> bool:
        return bool(self.router and self.router.connected.get(uuid_))

    def container(self, uuid_: str) -> Container:
        if uuid_ not in self.containers:
            raise RuntimeError("Container not found")
        return self.containers[uuid_]

    def endpoint_of(self, uuid_: str) -> str:
        return self._endpoint(ROUTED if self.router else NO_CONNECTION, uuid_)

    def _endpoint(self, kind: int, uuid_: str | None) -> str:
        endpoint = {
            "kind": kind,
            "host": "127.0.0.1" if self.router else "",
            "port": self.router.port if self.router else 0,
            "agentId": self.id,
        }
        if uuid_ is not None:
            endpoint["uuid"] = uuid_
        return text(endpoint)

    def _get(self, kind: str, request: dict[str, Any]) -> Any:
        if self.get_answer:
            return self.get_answer(kind, request)
        uuid_ = request.get("uuid") or f"{kind}-{uuid.uuid4()}"
        if uuid_ not in self.containers:
            self.containers[uuid_] = Container(self, uuid_, kind, request)
        return [uuid_, self.endpoint_of(uuid_)]

    def _terminate(self, uuid_: str) -> None:
        self.containers.pop(uuid_, None)
        self.terminated.append(uuid_)
