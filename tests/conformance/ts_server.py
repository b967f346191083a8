"""A network server that behaves as the TypeScript one does (W10–W18, W20), on `ts_listener.py`.

The first agent that has a uuid keeps it, nothing is placed again, events go out every 3 s, and a
container without references is told to end after 5 s.
"""

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ts_listener import Known, Listener
from wire import ADDED, EVENT, REMOVED, UPDATED, PeerError, text


@dataclass
class RegisteredAgent:
    id: str
    client: str
    kinds: list[str]
    endpoint: str | None


@dataclass
class Living:
    """A container: its record, as its agent registered it or the network started it."""

    record: dict[str, Any]
    endpoint: str
    by: set[str] = field(default_factory=set)
    """The clients that hold it."""
    lonely: float | None = None
    """When the last of them released it."""

    @property
    def agent(self) -> str:
        return self.record["agentId"]


class TypeScriptServer(Listener):
    """`idle` and `events_every` are the original's, in seconds, unless a test has no time for them."""

    of = "network"

    def __init__(self, idle: float = 5, events_every: float = 3):
        self.idle = idle
        self.events_every = events_every
        self.forget()
        super().__init__()

    def forget(self) -> None:
        self.agents: dict[str, RegisteredAgent] = {}
        self.containers: dict[str, Living] = {}
        self._starting: dict[tuple[str, str], Future] = {}
        self._events: dict[str, dict[str, dict[str, Any]]] = {"agents": {}, "containers": {}}
        self._cursor = 0
        self._last_events = time.monotonic()

    def agent_of(self, client: str) -> str:
        """The agent that a client registered."""
        [agent] = [each.id for each in self.agents.values() if each.client == client]
        return agent

    def untold(self) -> list[str]:
        """The containers of which events are still to be sent."""
        return list(self._events["containers"])

    # Methods.

    def answer(self, client: Known, method: str, params: Any) -> Any:
        match method:
            case "ar":
                return self._register(client, params)
            case "au":
                self._remove_agent(params["uuid"])
                return "ok"
            case "al":
                return [self._info(agent) for agent in self.agents.values()]
            case "ak":
                return sorted({kind for each in self.agents.values() for kind in each.kinds})
            case "cl":
                kind = params.get("kind")
                living = self.containers.values()
                return [each.record for each in living if kind in (None, each.record["kind"])]
            case "gg":
                return self._get(client, params["kind"], params["request"])
            case "cr":
                self._release(client, params["uuid"])
                return "ok"
            case "cs":
                return self._request(*params)
        raise RuntimeError(f"Unknown method {method}")

    def gone(self, client: Known) -> None:
        for uuid in list(self.containers):
            self._release(client, uuid)
        for agent in [each for each in self.agents.values() if each.client == client.id]:
            self._remove_agent(agent.id)

    def tick(self, now: float) -> None:
        for uuid, living in list(self.containers.items()):
            if living.lonely is not None and now - living.lonely > self.idle:
                self._remove(uuid)
                agent = self.agents[living.agent]
                self.call_back(agent.client, "ct", [agent.id, [uuid]])
        if now - self._last_events > self.events_every:
            self._last_events = now
            self._flush_events()

    def _register(self, client: Known, params: dict[str, Any]) -> list[str]:
        id = params["uuid"]
        known = self.agents.get(id)
        agent = RegisteredAgent(id, client.id, params["kinds"], params.get("endpoint"))
        self.agents[id] = agent
        if known is None:
            self._note("agents", id, {"id": id, "kinds": agent.kinds}, ADDED)
        said = {record["uuid"]: record for record in params["containers"]}
        for uuid in [each for each, living in self.containers.items() if living.agent == id]:
            if uuid not in said:
                self._remove(uuid)
        to_end = []
        for uuid, record in said.items():
            living = self.containers.get(uuid)
            if living is None:
                self.containers[uuid] = Living(record, record["endpoint"])
                self._note("containers", uuid, {"container": record}, ADDED)
            elif living.agent != id:
                to_end.append(uuid)
            elif living.endpoint != record["endpoint"]:
                living.record, living.endpoint = record, record["endpoint"]
                self._note("containers", uuid, {"container": record}, UPDATED)
        return to_end

    def _info(self, agent: RegisteredAgent) -> dict[str, Any]:
        count = sum(each.agent == agent.id for each in self.containers.values())
        return {
            "agentId": agent.id,
            "endpoint": agent.endpoint,
            "kinds": agent.kinds,
            "containers": count,
        }

    def _get(self, client: Known, kind: str, request: dict[str, Any]) -> Any:
        uuid = request.get("uuid")
        if uuid in self.containers:
            return self._hold(client, uuid)
        answer: Future = Future()
        if uuid and (starting := self._starting.get((kind, uuid))):
            starting.add_done_callback(lambda done: self._started(done, client, answer))
            return answer
        serving = [each for each in self.agents.values() if kind in each.kinds]
        if not serving:
            raise RuntimeError(f"No suitable agents found for container {kind}")
        agent = serving[self._cursor % len(serving)]
        self._cursor += 1
        start = self.call_back(agent.client, "gg", [agent.id, [kind, request]])
        if uuid:
            self._starting[kind, uuid] = start

        def started(done: Future) -> None:
            self._starting.pop((kind, uuid), None)
            if not done.exception():
                made, endpoint = done.result()
                if made not in self.containers:
                    self._add_started(agent, kind, made, endpoint, request)
            self._started(done, client, answer)

        start.add_done_callback(started)
        return answer

    def _add_started(
        self, agent: RegisteredAgent, kind: str, uuid: str, endpoint: str, request: dict[str, Any]
    ) -> None:
        record = {
            "uuid": uuid,
            "agentId": agent.id,
            "kind": kind,
            "lastVisit": time.monotonic() * 1000,
            # Not in the record (W10).
            "endpoint": "",
            "labels": request.get("labels"),
            "extra": request.get("extra"),
        }
        self.containers[uuid] = Living(record, endpoint)
        self._note("containers", uuid, {"container": record}, ADDED)

    def _started(self, done: Future, client: Known, answer: Future) -> None:
        if error := done.exception():
            answer.set_exception(_nested(error))
        else:
            answer.set_result(self._hold(client, done.result()[0]))

    def _hold(self, client: Known, uuid: str) -> list[str]:
        living = self.containers[uuid]
        living.by.add(client.id)
        living.lonely = None
        return [uuid, living.endpoint]

    def _release(self, client: Known, uuid: str) -> None:
        living = self.containers.get(uuid)
        if living and client.id in living.by:
            living.by.discard(client.id)
            if not living.by:
                living.lonely = time.monotonic()

    def _request(self, uuid: str, operation: str, data: Any) -> Future:
        if uuid not in self.containers:
            raise RuntimeError("Container not found")
        agent = self.agents[self.containers[uuid].agent]
        answer: Future = Future()

        def answered(done: Future) -> None:
            if error := done.exception():
                answer.set_exception(_nested(error))
            else:
                answer.set_result(done.result())

        call = self.call_back(agent.client, "cs", [agent.id, [uuid, operation, data]])
        call.add_done_callback(answered)
        return answer

    # Events.

    def _remove_agent(self, id: str) -> None:
        agent = self.agents.pop(id, None)
        if agent is None:
            return
        self._note("agents", id, {"id": id, "kinds": agent.kinds}, REMOVED)
        for uuid in [each for each, living in self.containers.items() if living.agent == id]:
            self._remove(uuid)

    def _remove(self, uuid: str) -> None:
        living = self.containers.pop(uuid)
        self._note("containers", uuid, {"container": living.record}, REMOVED)

    def _note(self, what: str, id: str, about: dict[str, Any], kind: int) -> None:
        """One entry of each; removed wins, added followed by updated stays added (W11)."""
        before = self._events[what].get(id)
        if before and before["event"] == ADDED and kind == UPDATED:
            kind = ADDED
        self._events[what][id] = {**about, "event": kind}

    def _flush_events(self) -> None:
        agents, containers = (list(self._events[of].values()) for of in ("agents", "containers"))
        if agents or containers:
            self._events = {"agents": {}, "containers": {}}
            payload = text({"agents": agents, "containers": containers})
            for client in self.clients:
                self._send(client, EVENT, "", payload)


def _nested(error: BaseException) -> RuntimeError:
    """The original puts the agent's stack into the message that the caller gets."""
    stack = error.payload.get("stack", "") if isinstance(error, PeerError) else ""
    return RuntimeError(f"{error}\n{stack}")
