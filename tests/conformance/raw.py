"""A peer that sends just what a test says: no pings, no hello, no resending of its own."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import zmq

from wire import CLOSE, DEADLINE, ERROR, HELLO, PING, PONG, REQUEST, RESPONSE
from wire import Frame, PeerError, dealer, encode, text


class Raw:
    """One DEALER, driven by the test's own thread. Frames that a wait passed over stay in `seen`."""

    def __init__(self, address: str, client_id: str | None = None):
        self.client_id = client_id or str(uuid.uuid4())
        self.socket = dealer(address)
        self.seen: list[Frame] = []
        self.counter = 0

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def drop(self) -> None:
        """Ends the connection without a word."""
        self.socket.close(linger=0)

    def send_parts(self, *parts: bytes) -> None:
        self.socket.send_multipart(list(parts))

    def send(self, op: int, id: str = "", payload: str = "") -> None:
        self.socket.send_multipart(encode(op, id, payload))

    def receive(self, within: float = DEADLINE) -> Frame | None:
        """The next frame, or none within that many seconds."""
        if self.socket.poll(max(0, round(within * 1000)), zmq.POLLIN):
            return Frame.decode(self.socket.recv_multipart())
        return None

    def expect(
        self, what: str, wanted: Callable[[Frame], bool], within: float = DEADLINE
    ) -> Frame:
        """The first frame that is wanted; the ones before it go to `seen`."""
        deadline = time.monotonic() + within
        passed: list[Frame] = []
        while (left := deadline - time.monotonic()) > 0:
            frame = self.receive(left)
            if frame is None:
                break
            if wanted(frame):
                return frame
            passed.append(frame)
            self.seen.append(frame)
        raise AssertionError(f"no {what} within {within} s, but {passed}")

    def hello(
        self, alive_timeout: float = 60, huly: dict[str, Any] | None = None
    ) -> Frame:
        """Says hello and returns the answer. `huly` makes it the hello of a Rust peer."""
        payload: dict[str, Any] = {"aliveTimeout": alive_timeout}
        if huly is not None:
            payload["huly"] = huly
        self.send(HELLO, self.client_id, text(payload))
        return self.expect("hello", lambda frame: frame.op == HELLO)

    def close(self) -> None:
        self.send(CLOSE)

    def ask(
        self, method: str, params: Any, id: str | None = None, beside: Any = None
    ) -> str:
        """Sends a request and returns its id. `beside` is a third member of its payload."""
        if id is None:
            id = f"{self.client_id}-{self.counter}"
            self.counter += 1
        payload = [method, params] if beside is None else [method, params, beside]
        self.send(REQUEST, id, text(payload))
        return id

    def answer_to(self, id: str, within: float = DEADLINE) -> Frame:
        for index, frame in enumerate(self.seen):
            if frame.id == id:
                return self.seen.pop(index)
        return self.expect(f"answer to {id}", lambda frame: frame.id == id, within)

    def call(self, method: str, params: Any, within: float = DEADLINE) -> Any:
        """A request and its answer; an error answer raises."""
        return self.result(self.ask(method, params), within)

    def result(self, id: str, within: float = DEADLINE) -> Any:
        """What a request came to; an error answer raises."""
        frame = self.answer_to(id, within)
        if frame.op == ERROR:
            raise PeerError(frame.json())
        assert frame.op == RESPONSE, frame
        return frame.json()

    def round_trip(self, within: float = DEADLINE) -> Frame:
        """A ping and its pong: what was sent before has been read by the other side."""
        self.send(PING)
        return self.expect("pong", lambda frame: frame.op == PONG, within)


def rust_hello(nonce: str | None = None, secret: str | None = None) -> dict[str, Any]:
    """What a Rust peer announces of itself in its hello."""
    huly: dict[str, Any] = {
        "v": 1,
        "nonce": nonce or str(uuid.uuid4()),
        "features": [],
        "term": 0,
    }
    if secret is not None:
        huly["secret"] = secret
    return huly
