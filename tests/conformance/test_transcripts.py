"""What real TypeScript peers said to the TypeScript server, said to ours: it answers the same."""

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from conftest import Peers
from plain import violations
from programs import Network
from raw import Raw
from wire import CLOSE, ERROR, EVENT, HELLO, PING, REMOVED, REQUEST, RESPONSE
from wire import Frame, encode, eventually, text

LIVES_ON = "leader-1"
"""The one container that ours does not end as recorded: nobody's get made a stateless container, so
nobody's release ends it; its agent would not make it again (W20).
"""

TRANSCRIPTS = Path(__file__).parents[2] / "network/protocol/tests/transcripts"


class Replay:
    """Peers that say their recorded frames in the recorded order, and wait for what was answered.

    Other than recorded: the uuids in hello and the ids of calls back are the server's own, and
    times are not repeated.
    """

    def __init__(self, peers: Peers, network: Network):
        self.peers = peers
        self.network = network
        self.raws: dict[str, Raw] = {}
        self.inbox: dict[str, list[Frame]] = defaultdict(list)
        self.all: list[tuple[str, Frame]] = []
        self.ids: dict[tuple[str, str], str] = {}
        self.methods: dict[tuple[str, str], str] = {}
        self.pinged = time.monotonic()
        self.closed: set[str] = set()
        self.unheard: set[tuple[str, str]] = set()
        self.ended: dict[str, set[str]] = defaultdict(set)

    def say(self, peer: str, frames: list[str]) -> None:
        if peer not in self.raws:
            self.raws[peer] = self.peers.raw(self.network.address)
        op, id, payload = int(frames[0]), frames[1], frames[2]
        if op == REQUEST:
            self.methods[peer, id] = json.loads(payload)[0]
        if op in (RESPONSE, ERROR):
            if (peer, id) in self.unheard:
                return
            id = self.ids.pop((peer, id))
        if op == CLOSE:
            eventually("it was told what ended", lambda: self.was_told(peer))
            self.closed.add(peer)
        self.raws[peer].send_parts(*encode(op, id, payload))

    def hear(self, peer: str, frames: list[str]) -> None:
        op, id, payload = int(frames[0]), frames[1], frames[2]
        if op == HELLO:
            self.await_frame(peer, lambda frame: frame.op == HELLO, frames)
        elif op == REQUEST and '"ct"' in payload and LIVES_ON in payload:
            self.unheard.add((peer, id))
        elif op == REQUEST:
            called = self.await_frame(
                peer, lambda frame: frame.op == REQUEST and frame.payload == payload, frames
            )
            self.ids[peer, id] = called.id
        elif op in (RESPONSE, ERROR):
            heard = self.await_frame(
                peer, lambda frame: frame.op != REQUEST and frame.id == id, frames
            )
            assert heard.op == op, (heard, frames)
            assert comparable(heard.payload) == comparable(payload)

    def await_frame(self, peer: str, wanted, recorded: list[str]) -> Frame:
        def found() -> Frame | None:
            self.pump()
            for index, frame in enumerate(self.inbox[peer]):
                if wanted(frame):
                    return self.inbox[peer].pop(index)
            return None

        return eventually(f"{peer} hears {recorded}", found)

    def note_ended(self, peer: str, event: dict[str, Any]) -> None:
        """Events are batched in other ways than recorded: by its close, a peer knows what ended."""
        self.ended[peer] |= removed(event) - {LIVES_ON}

    def was_told(self, peer: str) -> bool:
        self.pump()
        told = [removed(each.json()) for each in self.inbox[peer] if each.op == EVENT]
        return set().union(*told) >= self.ended[peer]

    def pump(self) -> None:
        for peer, raw in self.raws.items():
            while frame := raw.receive(0):
                self.inbox[peer].append(frame)
                self.all.append((peer, frame))
        if time.monotonic() > self.pinged + 0.5:
            self.pinged = time.monotonic()
            for peer in self.raws.keys() - self.closed:
                self.raws[peer].send(PING)

    def violations(self) -> list[str]:
        return [
            found
            for peer, frame in self.all
            for found in violations(
                frame, self.methods.get((peer, frame.id)) if frame.op == RESPONSE else None
            )
        ]


def removed(event: dict[str, Any]) -> set[str]:
    containers = event["containers"]
    return {each["container"]["uuid"] for each in containers if each["event"] == REMOVED}


def comparable(payload: str) -> Any:
    """A payload without what differs from run to run, or is filled in by ours (W10, W20)."""
    value = json.loads(payload)
    if isinstance(value, dict) and set(value) >= {"message", "stack"}:
        # Our errors carry no stacks; the recorded text repeats the stack of the agent's error.
        return value["message"].split("\n")[0]
    if isinstance(value, list) and value and isinstance(value[0], dict) and "lastVisit" in value[0]:
        kept = ("uuid", "agentId", "kind", "labels", "extra")
        records = [{key: each[key] for key in kept if each.get(key)} for each in value]
        return sorted(records, key=text)
    return value


@pytest.mark.covers(
    "W01", "frame 0 hello client", "frame 0 hello server", "frame 1 request client",
    "frame 1 request server", "frame 2 response client", "frame 2 response server",
    "frame 3 responseError client", "frame 3 responseError server",
)
def test_network(peers: Peers, network: Network) -> None:
    """W01–W16: the recorded session of clients and an agent, frame by frame, events aside."""
    replay = Replay(peers, network)
    lines = (TRANSCRIPTS / "network.jsonl").read_text().splitlines()
    heard = 0
    for line in map(json.loads, lines):
        op = int(line["frames"][0])
        if line["dir"] == "to-server":
            if op != PING:
                replay.say(line["peer"], line["frames"])
        elif op in (HELLO, REQUEST, RESPONSE, ERROR):
            replay.hear(line["peer"], line["frames"])
            heard += 1
        elif op == EVENT:
            replay.note_ended(line["peer"], json.loads(line["frames"][2]))
    assert heard == 29
    assert len(replay.unheard) == 1
    assert replay.violations() == []


@pytest.mark.parametrize("name", ["network", "restart", "agent"])
def test_the_rules_for_plain_peers_fit_the_original(name: str) -> None:
    """`plain.py` refuses nothing that the original server said, so it refuses no more than that."""
    asked: dict[str, str] = {}
    for line in (TRANSCRIPTS / f"{name}.jsonl").read_text().splitlines():
        line = json.loads(line)
        frame = Frame(int(line["frames"][0]), line["frames"][1], line["frames"][2])
        if line["dir"] == "to-server":
            if frame.op == REQUEST:
                asked[frame.id] = frame.json()[0]
            continue
        # The original leaves endpoints of containers empty; ours may not (W10).
        text_ = frame.payload.replace('"endpoint":""', '"endpoint":"{}"')
        frame = Frame(frame.op, frame.id, text_)
        method = "agent" if name == "agent" else asked.get(frame.id)
        if frame.op == REQUEST:
            method = None
        assert violations(frame, method) == []
