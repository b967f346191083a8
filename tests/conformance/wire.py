"""Frames of the wire protocol, and waiting for conditions.

Only facts of the protocol's documentation (docs/protocol.md and the numbered lines W01…) are here.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

HELLO, REQUEST, RESPONSE, ERROR, EVENT, PING, PONG, RETRY, CLOSE, ASK_HELLO = range(10)

ADDED, UPDATED, REMOVED = range(3)
"""What a network event says of an agent or container (W11)."""

ROUTED, DIRECT, NO_CONNECTION = range(3)
"""Kinds of an endpoint (W12)."""

DEADLINE = 15.0
"""Seconds after which an awaited condition counts as never met. Far above what any should take."""

CONTEXT = zmq.Context.instance()


class PeerError(Exception):
    """A responseError (op 3), with its payload."""

    def __init__(self, payload: dict[str, Any]):
        super().__init__(payload.get("message"))
        self.payload = payload

    @property
    def code(self) -> str | None:
        return self.payload.get("code")


@dataclass(frozen=True)
class Frame:
    """What a DEALER receives: op, id and payload."""

    op: int
    id: str
    payload: str

    @classmethod
    def decode(cls, parts: list[bytes]) -> "Frame":
        assert len(parts) >= 2, f"a message of {len(parts)} frames: {parts}"
        payload = parts[2].decode() if len(parts) > 2 else ""
        op = parts[0].decode()
        assert op.isdecimal(), f"an op that is no decimal text: {op!r}"
        return cls(int(op), parts[1].decode(), payload)

    def json(self) -> Any:
        return json.loads(self.payload)


def text(value: Any) -> str:
    """The JSON that the TypeScript peers write: without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def encode(op: int, id: str = "", payload: str = "") -> list[bytes]:
    """The frames of a DEALER (W01: `[op, id, payload, ""]`)."""
    return [str(op).encode(), id.encode(), payload.encode(), b""]


def fresh(prefix: str) -> str:
    """A uuid that no other test uses."""
    return f"{prefix}-{uuid.uuid4()}"


def dealer(address: str) -> zmq.Socket:
    socket = CONTEXT.socket(zmq.DEALER)
    socket.linger = 0
    socket.reconnect_ivl = 100
    # Of the form that TypeScript peers make of an endpoint, the host's colons are all there is to see.
    socket.ipv6 = address.count(":") > 2
    socket.connect(address)
    return socket


def eventually(what: str, condition: Callable[[], Any], within: float = DEADLINE) -> Any:
    """Waits until `condition` is truthy and returns it; fails by an AssertionError naming `what`.

    A condition may also fail by an AssertionError of its own; the last one is then shown.
    """
    deadline = time.monotonic() + within
    pause = threading.Event()
    last: AssertionError | None = None
    while True:
        try:
            if result := condition():
                return result
            last = None
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}") from last
        pause.wait(0.02)


def is_uuid(value: str) -> bool:
    try:
        return str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False
