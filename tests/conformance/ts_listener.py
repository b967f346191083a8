"""The listening side of a session, as the TypeScript peers have it (W04–W08), on libzmq.

A network server, an agent and a container with a ROUTER of its own are built on it. It knows a
client by the id in its hello, gives its answers to the connection of the last hello, and answers
retry to who is unknown or has too much in flight. Every frame that it receives is held against
`plain_listener.py`.
"""

import socket as os_socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import zmq

from peers import respond
from plain_listener import violations
from wire import ASK_HELLO, CLOSE, CONTEXT, ERROR, EVENT, HELLO, PING, PONG, REQUEST, RESPONSE
from wire import RETRY, Frame, PeerError, encode, eventually, text

TICK = 0.02
"""Seconds between looks at the time."""


@dataclass
class Known:
    """A client that has said hello."""

    id: str
    identity: bytes
    alive_timeout: float
    heard: float
    in_flight: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Heard:
    """A frame, who sent it, if that was known, and over which connection."""

    client: str | None
    identity: bytes
    frame: Frame
    at: float
    """By the monotonic clock, in seconds."""


NEVER = object()
"""What `instead` gives for a request that is never answered."""


class Listener:
    """Listens on a free port, on a thread of its own."""

    of = "network"

    def __init__(self) -> None:
        self.uuid = str(uuid.uuid4())
        self.clients: dict[str, Known] = {}
        self.heard: list[Heard] = []
        """Every frame, in order."""
        self.violations: list[str] = []
        self.in_flight = 25
        """Requests that a client may have in flight (W06)."""
        self.deaf = False
        """Answers nothing, its connections open: as a process that hangs."""
        self.unheard: list[tuple[bytes, Frame]] = []
        """What came meanwhile, and over which connection."""
        self.retries: deque[int] = deque()
        """What the next requests are answered with, retry that many ticks."""
        self.retried: list[str] = []
        """The ids of requests that were answered retry."""
        self.instead: dict[str, Callable[[Known, Any], Any]] = {}
        """By method, what answers in its stead. Runs on the listener's thread."""
        self.calls: dict[str, tuple[str, str, Future]] = {}
        """Calls back without an answer: by id the client, the method and the answer's future."""
        self._counter = 0
        self._commands: deque[Callable[[], None]] = deque()
        self._wake_here, self._wake_there = os_socket.socketpair()
        # Full, it wakes as well; who waited for room here might hold what the thread waits for.
        self._wake_here.setblocking(False)
        self._ended = False
        self._away: tuple[str, ...] = ()
        """Those who must be forgotten before it listens again."""
        self._socket = CONTEXT.socket(zmq.ROUTER)
        self._socket.linger = 0
        # Below the ephemeral ports, so that it is free again after a restart.
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1", 20000, 30000)
        self.host = f"127.0.0.1:{self.port}"
        self.address = f"tcp://{self.host}"
        self._thread = threading.Thread(target=self._run, name=self.address, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What a test calls.

    def close(self) -> None:
        self._ended = True
        self._wake()
        self._thread.join()
        self._wake_here.close()
        self._wake_there.close()

    def cut(self) -> None:
        """Closes every connection. What it knows stays, and so its uuid."""
        self._done(self._listen_anew)

    def forget_after_a_cut(self, *clients: str) -> None:
        """Closes every connection; listens again when the clients' time is over (W08)."""

        def cut() -> None:
            self._socket.close()
            self._away = clients

        self._done(cut)
        eventually("their time is over", lambda: not self._socket.closed)

    def restart(self) -> None:
        """As a process that was killed and started: another uuid, nothing known."""

        def restart() -> None:
            self.uuid = str(uuid.uuid4())
            self.clients.clear()
            self.calls.clear()
            self._counter = 0
            self.forget()
            self._listen_anew()

        self._done(restart)

    def forget_client(self, client: str) -> None:
        """Knows nothing of a client any more, its connection open (W07: it is asked for hello)."""

        def forget() -> None:
            self._forget(self.clients[client])

        self._done(forget)

    def say(self, client: str, op: int, id: str = "", payload: str | bytes = "") -> None:
        """Sends a frame as it is to the connection of a client."""
        raw = payload.encode() if isinstance(payload, str) else payload
        parts = [str(op).encode(), id.encode(), raw]
        self._do(lambda: self._put(self.clients[client].identity, parts))

    def say_parts(self, client: str, parts: list[bytes]) -> None:
        self._do(lambda: self._put(self.clients[client].identity, parts))

    def call_back(self, client: str, method: str, params: Any) -> Future:
        """Calls a client over its own connection, with an id of the original's (W23)."""
        future: Future = Future()

        def call() -> None:
            id = f"{client}-{self._counter}"
            self._counter += 1
            self.calls[id] = (client, method, future)
            self._send(client, REQUEST, id, text([method, params]))

        self._do(call)
        return future

    def send_event(self, client: str, payload: Any) -> None:
        self.say(client, EVENT, "", text(payload))

    def frames(self, op: int, client: str | None = None) -> list[Frame]:
        """What was received so far."""
        return [
            heard.frame
            for heard in list(self.heard)
            if heard.frame.op == op and client in (None, heard.client)
        ]

    def requests(self, method: str, client: str | None = None) -> list[Frame]:
        """The requests of a method so far, those that were answered retry too."""
        return [
            frame for frame in self.frames(REQUEST, client) if frame.json()[0] == method
        ]

    def times(self, id: str) -> list[float]:
        """When the requests of that id came."""
        return [
            heard.at
            for heard in list(self.heard)
            if heard.frame.op == REQUEST and heard.frame.id == id
        ]

    def params(self, method: str, client: str | None = None) -> list[Any]:
        return [frame.json()[1] for frame in self.requests(method, client)]

    def next_client(self, than: set[str] | None = None) -> str:
        """A client that has said hello and is not among those."""
        fresh = eventually("a client says hello", lambda: set(self.clients) - (than or set()))
        return fresh.pop()

    # What a peer that listens is, beyond the session.

    def answer(self, client: Known, method: str, params: Any) -> Any:
        """The answer to a request, or a future of it."""
        raise NotImplementedError

    def gone(self, client: Known) -> None:
        """A client has closed or was not heard from for its time."""

    def forget(self) -> None:
        """Begins anew with nothing known."""

    def tick(self, now: float) -> None:
        """Looks at the time."""

    # The thread.

    def _do(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        self._wake()

    def _done(self, command: Callable[[], None]) -> None:
        done: Future = Future()

        def perform() -> None:
            try:
                command()
                done.set_result(None)
            except Exception as error:  # It belongs to the test's thread.
                done.set_exception(error)

        self._do(perform)
        done.result(5)

    def _wake(self) -> None:
        try:
            self._wake_here.send(b"x")
        except OSError:
            pass  # It is being woken, or has ended.

    def _run(self) -> None:
        while not self._ended:
            if self._socket.closed and not set(self._away) & set(self.clients):
                self._listen_anew()
            poller = zmq.Poller()
            if not self._socket.closed:
                poller.register(self._socket, zmq.POLLIN)
            poller.register(self._wake_there, zmq.POLLIN)
            ready = dict(poller.poll(TICK * 1000))
            if self._wake_there.fileno() in ready:
                self._wake_there.recv(4096)
            while self._commands:
                self._commands.popleft()()
            for _ in range(1000):
                if self._socket.closed or not self._socket.get(zmq.EVENTS) & zmq.POLLIN:
                    break
                identity, *parts = self._socket.recv_multipart()
                self._take(identity, parts)
            now = time.monotonic()
            for client in list(self.clients.values()):
                if now - client.heard > client.alive_timeout and not self.deaf:
                    self._forget(client)
            self.tick(now)
        self._socket.close()

    def _listen_anew(self) -> None:
        self._socket.close()
        self._socket = CONTEXT.socket(zmq.ROUTER)
        self._socket.linger = 0

        def bound() -> bool:
            try:
                self._socket.bind(self.address)
            except zmq.ZMQError:
                return False  # The closed one is not gone yet.
            return True

        eventually(f"{self.address} is free", bound)

    def _put(self, identity: bytes, parts: list[bytes]) -> None:
        if not (self.deaf or self._socket.closed):
            self._socket.send_multipart([identity, *parts])

    def _send(self, client: str, op: int, id: str, payload: str = "") -> None:
        if known := self.clients.get(client):
            self._put(known.identity, encode(op, id, payload)[:3])

    def _take(self, identity: bytes, parts: list[bytes]) -> None:
        try:
            frame = Frame.decode(parts)
        except (AssertionError, UnicodeDecodeError) as error:
            self.violations.append(f"{parts}: {error}")
            return
        if self.deaf:
            self.unheard.append((identity, frame))
            return
        client = next((each for each in self.clients.values() if each.identity == identity), None)
        now = time.monotonic()
        if client:
            client.heard = now
        self.heard.append(Heard(client.id if client else None, identity, frame, now))
        called = self.calls.get(frame.id) if frame.op in (RESPONSE, ERROR) else None
        self.violations += violations(frame, called[1] if called else None, self.of)
        match frame.op:
            case op if op == HELLO:
                self._take_hello(identity, frame)
            case op if op == REQUEST:
                self._take_request(identity, client, frame)
            case op if op in (RESPONSE, ERROR) and called:
                del self.calls[frame.id]
                if frame.op == RESPONSE:
                    called[2].set_result(frame.json())
                else:
                    called[2].set_exception(PeerError(frame.json()))
            case op if op == PING:
                self._put(identity, encode(PONG, self.uuid)[:3])
                if client is None:
                    self._put(identity, encode(ASK_HELLO, self.uuid)[:3])
            case op if op == CLOSE and client:
                self._forget(client)

    def _take_hello(self, identity: bytes, frame: Frame) -> None:
        alive = frame.json()["aliveTimeout"]
        now = time.monotonic()
        if known := self.clients.get(frame.id):
            known.identity, known.alive_timeout, known.heard = identity, alive, now
        else:
            self.clients[frame.id] = Known(frame.id, identity, alive, now)
        self.heard[-1] = Heard(frame.id, identity, frame, now)
        self._put(identity, encode(HELLO, self.uuid)[:3])

    def _take_request(self, identity: bytes, client: Known | None, frame: Frame) -> None:
        if client and frame.id in client.in_flight:
            return
        if ticks := self._ticks_to_wait(client):
            self.retried.append(frame.id)
            self._put(identity, encode(RETRY, frame.id, str(ticks))[:3])
            return
        client.in_flight.add(frame.id)
        method, params = frame.json()
        served_by = self.uuid

        def reply(op: int, payload: Any) -> None:
            def send() -> None:
                if self.uuid == served_by:
                    client.in_flight.discard(frame.id)
                    self._send(client.id, op, frame.id, text(payload))

            self._do(send)

        def fail(error: BaseException) -> None:
            reply(ERROR, {"message": str(error), "stack": f"Error: {error}\n    at STACK"})

        def work() -> Any:
            if instead := self.instead.get(method):
                return instead(client, params)
            return self.answer(client, method, params)

        respond(lambda: _future_if_never(work()), lambda value: reply(RESPONSE, value), fail)

    def _ticks_to_wait(self, client: Known | None) -> int:
        """What a request is answered retry with; 0 if it is taken."""
        if client is None:
            return 1
        if self.retries:
            return self.retries.popleft()
        flying = len(client.in_flight)
        return flying if flying >= self.in_flight else 0

    def _forget(self, client: Known) -> None:
        del self.clients[client.id]
        self.gone(client)


def _future_if_never(value: Any) -> Any:
    return Future() if value is NEVER else value

