"""The recorded transcripts, what in them is compared, and where ours means to differ."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wire import REMOVED, REQUEST, Frame, text

FOLDER = Path(__file__).parents[2] / "network/protocol/tests/transcripts"

STATELESS = "leader-1"
"""The stateless container of the recordings."""


@dataclass(frozen=True)
class Line:
    """A recorded frame; it came to the `peer` unless the peer said it."""

    ms: int
    peer: str
    said: bool
    frame: Frame

    @property
    def call(self) -> tuple[str, Any]:
        """A request's method and params."""
        assert self.frame.op == REQUEST
        method, params = self.frame.json()
        return method, params


def recorded(name: str) -> list[Line]:
    lines = (json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines())
    return [
        Line(
            line["ms"],
            line["peer"],
            line["dir"] == "to-server",
            Frame(int(line["frames"][0]), line["frames"][1], line["frames"][2]),
        )
        for line in lines
    ]


@dataclass(frozen=True)
class Difference:
    """Something that ours does in another way, on purpose. `side` is the one that ours plays."""

    transcript: str
    side: str
    what: str
    why: str


MEANS_TO_DIFFER = [
    Difference(
        "network",
        "server",
        "a stateless container is not ended after its release",
        "nobody's get made it, and its agent would not make it again",
    ),
    Difference(
        "restart",
        "server",
        "the answer to the second agent's ar does not name the stateless uuid",
        "W19: the standby stays, to take over",
    ),
    Difference(
        "restart",
        "server",
        "of two agents the first to register is the first in turn",
        "W15 says that they take turns, not who begins",
    ),
    Difference(
        "restart",
        "server",
        "a get that is sent twice with one id is answered once",
        "W05: the first of them is in flight when the second comes",
    ),
    Difference(
        "restart",
        "server",
        "a get that no agent can serve says why after the original's text",
        "clients know it by how it starts (W15)",
    ),
    Difference(
        "network",
        "peers",
        "a get by labels returns the container that has them",
        "W14, W20: our agent keeps the labels of what it has started",
    ),
    Difference(
        "network",
        "peers",
        "a stateless container that was told to end is made again",
        "W19: there is always one that can have the uuid",
    ),
    Difference(
        "restart",
        "peers",
        "a container that was refused a stateless uuid stands by",
        "W20: the original ends it; ours is there to take over",
    ),
    Difference(
        "restart",
        "peers",
        "after a restart a get is sent once",
        "the original sends what it has just asked again once more with all that is pending",
    ),
    Difference(
        "agent",
        "agent",
        "cc answers how many containers are connected",
        "the original answered 0; no client reads it",
    ),
    Difference(
        "agent",
        "peers",
        "cd is not said of what is not connected",
        "the recorded one was answered with an error",
    ),
    Difference(
        "agent",
        "agent",
        "another text when a container is not there",
        "no client reads it",
    ),
]
"""Every difference that a replay meets; one that none meets any more is to be taken out."""


class Differences:
    """Those of one transcript and side: which were met."""

    def __init__(self, transcript: str, side: str):
        self.known = {
            each.what
            for each in MEANS_TO_DIFFER
            if (each.transcript, each.side) == (transcript, side)
        }
        self.met: set[str] = set()

    def meet(self, what: str) -> None:
        assert what in self.known, f"ours does not mean to differ so: {what}"
        self.met.add(what)

    def check(self) -> None:
        assert self.met == self.known, "ours differs no more where it is said to"


def removed(event: dict[str, Any]) -> set[str]:
    containers = event["containers"]
    return {each["container"]["uuid"] for each in containers if each["event"] == REMOVED}


def comparable(payload: str) -> Any:
    """A payload without what differs from run to run, or is filled in by ours (W10, W20)."""
    return meaning(json.loads(payload))


def meaning(value: Any) -> Any:
    if isinstance(value, dict) and set(value) >= {"message", "stack"}:
        # Our errors carry no stacks; the recorded text repeats the stack of the agent's error.
        return value["message"].split("\n")[0]
    if isinstance(value, list) and value and isinstance(value[0], dict) and "lastVisit" in value[0]:
        kept = ("uuid", "agentId", "kind", "labels", "extra")
        records = [{key: each[key] for key in kept if each.get(key)} for each in value]
        return sorted(records, key=text)
    return value
