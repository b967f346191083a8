"""A client that behaves as the TypeScript one does (W04–W07, W21–W29), on libzmq.

It says hello at each connection of its socket, pings once a second, and registers, gets and sends
again only when the uuid in a hello differs from the one it knew. No call has a time-out of its
own; that a test waits no longer is the test's affair.
"""

import socket as os_socket
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import zmq
from zmq.utils.monitor import recv_monitor_message

from plain import violations
from wire import ASK_HELLO, CLOSE, DEADLINE, ERROR, EVENT, HELLO, PING, PONG, REMOVED
from wire import REQUEST, RESPONSE, RETRY, UPDATED
from wire import Frame, PeerError, dealer, encode, eventually, text

PING_INTERVAL = 1.0
TICK = 0.5
"""Seconds of one tick of a retry, for clients (W29)."""

NO_AGENT = "No suitable agents found for container"


class Served(Protocol):
    """An agent, as the client that serves it sees it."""

    id: str

    def registration(self) -> dict[str, Any]: ...

    def registered(self, to_end: list[str]) -> None: ...

    def call(self, method: str, params: list[Any]) -> Any: ...

    def network_event(self, event: dict[str, Any]) -> None: ...


@dataclass
class Pending:
    id: str
    method: str
    params: Any
    future: Future = field(default_factory=Future)


class TypeScriptClient:
    """One client with its DEALER on a thread of its own. Made connected: see `connect`."""

    def __init__(
        self,
        address: str,
        alive_timeout: float = 3,
        of: str = "network",
        client_id: str | None = None,
    ):
        self.client_id = client_id or str(uuid.uuid4())
        self.address = address
        self.alive_timeout = alive_timeout
        self.of = of
        """Whose ROUTER this is: the `network`'s, or an `agent`'s or a container's."""
        self.server: str | None = None
        """The uuid of the last hello, None before one and after askHello."""
        self.sessions: list[str] = []
        """Each new uuid that a hello brought."""
        self.hellos: list[str] = []
        """The uuid of each hello, new or not."""
        self.references: dict[str, tuple[str, dict[str, Any]]] = {}
        """What it holds: by uuid the kind and the request as it was first made."""
        self.endpoints: dict[str, str] = {}
        self.events: list[Any] = []
        self.violations: list[str] = []
        self.asked: dict[str, str] = {}
        """What was ever asked: the method by request id."""
        self.answers: Counter[str] = Counter()
        """How many answers came, by request id."""
        self.retries = 0
        self.asked_hello = 0
        self.pongs = 0
        self._agents: dict[str, Served] = {}
        self._pending: dict[str, Pending] = {}
        self._counter = 0
        self._lock = threading.RLock()
        self._outbox: deque[list[bytes]] = deque()
        self._later: list[tuple[float, list[bytes]]] = []
        self._wake_here, self._wake_there = os_socket.socketpair()
        # Full, it wakes as well; who waited for room here might hold what the thread waits for.
        self._wake_here.setblocking(False)
        self._ended = threading.Event()
        self._mute = False
        self._thread = threading.Thread(target=self._run, name=self.client_id)
        self._thread.daemon = True
        self._thread.start()

    def __enter__(self) -> "TypeScriptClient":
        eventually("the client's hello is answered", lambda: self.server)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What a user of the client calls.

    def start(self, method: str, params: Any) -> Future:
        """Sends a request; the future has its answer."""
        with self._lock:
            pending = Pending(f"{self.client_id}-{self._counter}", method, params)
            self._counter += 1
            self._pending[pending.id] = pending
            self.asked[pending.id] = method
            if self.server is not None:
                self._put(pending)
        return pending.future

    def call(self, method: str, params: Any, within: float = DEADLINE) -> Any:
        return self.start(method, params).result(within)

    def get(
        self, kind: str, request: dict[str, Any] | None = None, within: float = DEADLINE
    ) -> tuple[str, str]:
        """Gets a container and holds it: `(uuid, endpoint)`. Tries for ever while nobody serves it."""
        request = request or {}
        deadline = time.monotonic() + within
        while True:
            seen = len(self.events)
            try:
                uuid, endpoint = self.call("gg", {"kind": kind, "request": request})
            except PeerError as error:
                if not str(error).startswith(NO_AGENT) or time.monotonic() > deadline:
                    raise
                self._await_agent(kind, seen)
                continue
            with self._lock:
                self.references[uuid] = (kind, request)
                self.endpoints[uuid] = endpoint
            return uuid, endpoint

    def request(
        self, uuid: str, operation: str, data: Any = None, within: float = DEADLINE
    ) -> Any:
        return self.call("cs", [uuid, operation, data], within)

    def release(self, uuid: str) -> Any:
        with self._lock:
            self.references.pop(uuid, None)
        return self.call("cr", {"uuid": uuid})

    def serve(self, agent: Served) -> None:
        """Registers an agent, and again after each new uuid."""
        with self._lock:
            self._agents[agent.id] = agent
        self.register(agent).result(DEADLINE)

    def register(self, agent: Served) -> Future:
        future = self.start("ar", agent.registration())

        def done(answered: Future) -> None:
            if not answered.cancelled() and answered.exception() is None:
                agent.registered(answered.result())

        future.add_done_callback(done)
        return future

    def close(self) -> None:
        """Says close and ends."""
        self._end(encode(CLOSE))

    def drop(self) -> None:
        """Ends without a word: the connection is closed."""
        self._end(None)

    def mute(self) -> None:
        """From now on neither sends nor reads: as a frozen process, its connection open."""
        self._mute = True

    def container_events(self, uuid: str) -> list[tuple[int, dict[str, Any]]]:
        """The network events so far of one container: `(event, record)`."""
        return [
            (entry["event"], entry["container"])
            for event in list(self.events)
            for entry in event["containers"]
            if entry["container"]["uuid"] == uuid
        ]

    def agent_events(self, agent: str) -> list[int]:
        return [
            entry["event"]
            for event in list(self.events)
            for entry in event["agents"]
            if entry["id"] == agent
        ]

    def ids(self, method: str) -> list[str]:
        """The ids of its requests of that method, in the order asked."""
        return [id for id, asked in list(self.asked.items()) if asked == method]

    # The thread.

    def _end(self, last: list[bytes] | None) -> None:
        if self._ended.is_set():
            return
        if last is not None and not self._mute:
            self._send(last)
        self._ended.set()
        self._wake()
        self._thread.join()
        self._wake_here.close()
        self._wake_there.close()
        for pending in self._pending.values():
            pending.future.cancel()

    def _send(self, parts: list[bytes]) -> None:
        self._outbox.append(parts)
        self._wake()

    def _wake(self) -> None:
        try:
            self._wake_here.send(b"x")
        except OSError:
            pass  # It is being woken, or has ended.

    def _put(self, pending: Pending) -> None:
        self._send(
            encode(REQUEST, pending.id, text([pending.method, pending.params]))
        )

    def _run(self) -> None:
        socket = dealer(self.address)
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        poller = zmq.Poller()
        for readable in (socket, monitor, self._wake_there):
            poller.register(readable, zmq.POLLIN)
        next_ping = time.monotonic() + PING_INTERVAL
        try:
            while True:
                now = time.monotonic()
                if now >= next_ping:
                    next_ping += PING_INTERVAL
                    self._outbox.append(encode(PING))
                self._outbox.extend(parts for due, parts in self._later if due <= now)
                self._later = [entry for entry in self._later if entry[0] > now]
                while self._outbox and not self._mute:
                    socket.send_multipart(self._outbox.popleft())
                if self._ended.is_set():
                    return
                due = min([next_ping, *(due for due, _ in self._later)])
                ready = dict(poller.poll(max(1, (due - now) * 1000)))
                if self._wake_there.fileno() in ready:
                    self._wake_there.recv(4096)
                if self._mute:
                    self._ended.wait()
                    return
                if monitor in ready:
                    recv_monitor_message(monitor)
                    self._say_hello()
                while socket.get(zmq.EVENTS) & zmq.POLLIN:
                    self._receive(socket.recv_multipart())
        finally:
            socket.disable_monitor()
            # Not before the close has been written: linger 0 drops what is queued.
            socket.close(linger=1000 if not self._mute else 0)

    def _say_hello(self) -> None:
        payload = text({"aliveTimeout": self.alive_timeout})
        self._send(encode(HELLO, self.client_id, payload))

    def _receive(self, parts: list[bytes]) -> None:
        try:
            frame = Frame.decode(parts)
        except (AssertionError, UnicodeDecodeError) as error:
            self.violations.append(f"{parts}: {error}")
            return
        with self._lock:
            pending = self._pending.get(frame.id)
            asked = pending.method if pending and frame.op != REQUEST else None
            if frame.op == EVENT and self.of == "agent":
                asked = "agent"
            self.violations.extend(violations(frame, asked))
            if frame.op in (RESPONSE, ERROR):
                self.answers[frame.id] += 1
            self._take(frame, pending)

    def _take(self, frame: Frame, pending: Pending | None) -> None:
        match frame.op:
            case op if op == HELLO:
                self._take_hello(frame.id)
            case op if op == RESPONSE and pending:
                del self._pending[pending.id]
                pending.future.set_result(frame.json())
            case op if op == ERROR and pending:
                del self._pending[pending.id]
                pending.future.set_exception(PeerError(frame.json()))
            case op if op == RETRY and pending:
                self.retries += 1
                again = encode(REQUEST, pending.id, text([pending.method, pending.params]))
                self._later.append((time.monotonic() + frame.json() * TICK, again))
            case op if op == PONG:
                self.pongs += 1
            case op if op == ASK_HELLO:
                self.asked_hello += 1
                self.server = None
                self._say_hello()
            case op if op == EVENT:
                self._take_event(frame.json())
            case op if op == REQUEST:
                self._take_call(frame)

    def _take_hello(self, server: str) -> None:
        self.hellos.append(server)
        if server == self.server:
            return
        self.server = server
        self.sessions.append(server)
        first = len(self.sessions) == 1
        if not first:
            for agent in self._agents.values():
                self.register(agent)
            for kind, request in list(self.references.values()):
                self.start("gg", {"kind": kind, "request": request})
        # All of it at once, what was just sent too: the original does the same (W21).
        for pending in list(self._pending.values()):
            self._put(pending)

    def _take_event(self, event: Any) -> None:
        self.events.append(event)
        if self.of != "network":
            return
        for entry in event["containers"]:
            record = entry["container"]
            if record["uuid"] in self.references:
                if entry["event"] == UPDATED:
                    self.endpoints[record["uuid"]] = record["endpoint"]
                elif entry["event"] == REMOVED:
                    self.endpoints.pop(record["uuid"], None)
        for agent in self._agents.values():
            agent.network_event(event)

    def _take_call(self, frame: Frame) -> None:
        method, [agent_id, params] = frame.json()[0], frame.json()[1][:2]

        def answer(value: Any) -> None:
            self._send(encode(RESPONSE, frame.id, text(value)))

        def fail(error: BaseException) -> None:
            payload = {"message": str(error), "stack": f"Error: {error}\n    at STACK"}
            self._send(encode(ERROR, frame.id, text(payload)))

        respond(lambda: self._agents[agent_id].call(method, params), answer, fail)

    def _await_agent(self, kind: str, seen: int) -> None:
        def added() -> bool:
            return any(
                kind in entry["kinds"]
                for event in self.events[seen:]
                for entry in event["agents"]
            )

        try:
            eventually(f"an agent of {kind} is added", added, TICK)
        except AssertionError:
            pass  # It also tries by time.


def respond(
    work: Callable[[], Any],
    answer: Callable[[Any], None],
    fail: Callable[[BaseException], None],
) -> None:
    """Does the work and answers, at once or when the future that it gave is done."""
    try:
        value = work()
    except Exception as error:  # An answer is owed whatever a container does.
        fail(error)
        return
    if not isinstance(value, Future):
        answer(value)
        return

    def done(future: Future) -> None:
        if future.cancelled():
            fail(RuntimeError("cancelled"))
        elif error := future.exception():
            fail(error)
        else:
            answer(future.result())

    value.add_done_callback(done)
