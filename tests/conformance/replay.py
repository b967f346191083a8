"""Peers that say their recorded frames to what is tested, and hold its answers against the record."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from conftest import Peers
from peers import NO_AGENT
from plain import violations
from raw import Raw
from transcripts import Differences, Line, comparable, removed
from wire import ASK_HELLO, CLOSE, ERROR, EVENT, HELLO, PING, REQUEST, RESPONSE
from wire import Frame, encode, eventually, fresh, text


class Replay:
    """They speak in the recorded order, and each waits for what was answered then.

    Other than recorded: the uuids in hello and the ids of calls back are those of who is tested,
    events are batched in other ways, and times are not repeated.
    """

    def __init__(self, peers: Peers, address: str, differences: Differences, of: str = "network"):
        self.peers = peers
        self.address = address
        self.differences = differences
        self.of = of
        self.raws: dict[str, Raw] = {}
        self.inbox: dict[str, list[Frame]] = defaultdict(list)
        self.all: list[tuple[str, Frame]] = []
        self.ids: dict[tuple[str, str], str] = {}
        self.methods: dict[tuple[str, str], str] = {}
        self.pinged = time.monotonic()
        self.closed: set[str] = set()
        self.heard = 0
        self.ended: dict[str, set[str]] = defaultdict(set)

    def say(self, line: Line) -> None:
        """A frame that the peer said."""
        peer, frame = line.peer, line.frame
        if peer not in self.raws:
            self.raws[peer] = self.peers.raw(self.address)
        id = frame.id
        if frame.op == PING:
            return  # It pings by itself.
        if frame.op == REQUEST:
            self.methods[peer, id] = line.call[0]
        if frame.op in (RESPONSE, ERROR):
            id = self.ids.pop((peer, id))
        if frame.op == CLOSE:
            eventually("it was told what ended", lambda: self.was_told(peer))
            self.closed.add(peer)
        self.raws[peer].send_parts(*encode(frame.op, id, frame.payload))

    def hear(self, line: Line) -> None:
        """A frame that came to the peer: one of the same meaning comes now."""
        peer, frame = line.peer, line.frame
        if frame.op in (HELLO, ASK_HELLO):
            self.await_frame(line, lambda other: other.op == frame.op)
        elif frame.op == REQUEST:
            called = self.await_frame(
                line, lambda other: other.op == REQUEST and other.payload == frame.payload
            )
            self.ids[peer, frame.id] = called.id
        elif frame.op in (RESPONSE, ERROR):
            self.hear_answer(line, comparable(frame.payload))
        elif frame.op == EVENT and self.of == "network":
            # By its close it must know what ended.
            self.ended[peer] |= removed(frame.json())
        elif frame.op == EVENT:
            self.await_frame(
                line,
                lambda other: other.op == EVENT
                and comparable(other.payload) == comparable(frame.payload),
            )

    def hear_answer(self, line: Line, meant: Any) -> None:
        """An answer to the same request, of the same op, that means this."""
        frame = line.frame
        heard = self.await_frame(line, lambda other: other.op != REQUEST and other.id == frame.id)
        assert heard.op == frame.op, (heard, frame)
        means = comparable(heard.payload)
        if str(meant).startswith(NO_AGENT) and means != meant:
            self.differences.meet(
                "a get that no agent can serve says why after the original's text"
            )
            means = means[: len(meant)]
        assert means == meant

    def await_frame(self, line: Line, wanted: Callable[[Frame], bool]) -> Frame:
        self.heard += 1

        def found() -> Frame | None:
            self.pump()
            for index, frame in enumerate(self.inbox[line.peer]):
                if wanted(frame):
                    return self.inbox[line.peer].pop(index)
            return None

        return eventually(f"{line.peer} hears {line.frame}", found)

    def was_told(self, peer: str) -> bool:
        self.pump()
        told = [removed(each.json()) for each in self.inbox[peer] if each.op == EVENT]
        return set().union(*told) >= self.ended[peer]

    def take_a_turn(self, peer: str, kind: str) -> None:
        """A client beside those recorded has a container started at the peer's agent."""
        raw = self.peers.raw(self.address)
        raw.hello()
        uuid = fresh("beside")
        id = raw.ask("gg", {"kind": kind, "request": {"uuid": uuid}})

        def called() -> Frame | None:
            self.pump()
            return next((each for each in self.inbox[peer] if each.op == REQUEST), None)

        call = eventually(f"{peer} is called", called)
        self.inbox[peer].remove(call)
        agent = call.json()[1][0]
        endpoint = text({"kind": 2, "host": "", "port": 0, "agentId": agent, "uuid": uuid})
        self.raws[peer].send(RESPONSE, call.id, text([uuid, endpoint]))
        assert raw.answer_to(id).json() == [uuid, endpoint]

    def pump(self) -> None:
        for peer, raw in self.raws.items():
            while frame := raw.receive(0):
                self.inbox[peer].append(frame)
                self.all.append((peer, frame))
        if time.monotonic() > self.pinged + 0.5:
            self.pinged = time.monotonic()
            for peer in self.raws.keys() - self.closed:
                self.raws[peer].send(PING)

    def check(self) -> None:
        """Nothing of an extension came, and every difference that is meant was met."""
        self.differences.check()
        found = [
            found
            for peer, frame in self.all
            for found in violations(frame, self._asked(peer, frame))
        ]
        assert found == []

    def _asked(self, peer: str, frame: Frame) -> str | None:
        if frame.op == EVENT and self.of == "agent":
            return "agent"
        return self.methods.get((peer, frame.id)) if frame.op == RESPONSE else None
