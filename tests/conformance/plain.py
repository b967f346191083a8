"""What a TypeScript peer may ever be sent: nothing of an extension."""

import json
from typing import Any

from wire import ASK_HELLO, ERROR, EVENT, HELLO, PONG, REQUEST, RESPONSE, RETRY, Frame

ERROR_MEMBERS = {"message", "stack"}
RECORD_MEMBERS = {
    "agentId",
    "uuid",
    "kind",
    "endpoint",
    "lastVisit",
    "extra",
    "labels",
}
AGENT_MEMBERS = {"agentId", "endpoint", "kinds", "containers"}
CALLS_BACK = {"gg": 2, "cl": 1, "cs": 3, "ct": 1}
"""The server's calls to an agent's client, and how many params the inner list has."""


def violations(frame: Frame, asked: str | None) -> list[str]:
    """What in a frame to a TypeScript peer is not the original's. `asked`: the method it answers."""
    try:
        return list(_violations(frame, asked))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return [f"{frame}: {error!r}"]


def _violations(frame: Frame, asked: str | None):
    def wrong(what: str) -> str:
        return f"{what}: {frame}"

    match frame.op:
        case op if op in (HELLO, PONG, ASK_HELLO):
            if frame.payload:
                yield wrong("hello, pong and askHello have no payload")
        case op if op == RETRY:
            if not isinstance(frame.json(), int):
                yield wrong("retry's payload is a number")
        case op if op == ERROR:
            if set(frame.json()) - ERROR_MEMBERS:
                yield wrong("more than message and stack in an error")
        case op if op == EVENT:
            if asked != "agent":
                yield from (wrong(found) for found in _network_event(frame.json()))
        case op if op == REQUEST:
            method, params = frame.json()
            if method not in CALLS_BACK:
                yield wrong("a call back that the original does not have")
            elif len(params) != 2 or len(params[1]) != CALLS_BACK[method]:
                yield wrong("a call back with more params than the original's")
            elif method == "gg" and set(params[1][1]) - {"uuid", "extra", "labels"}:
                yield wrong("a get with more members than the original's")
        case op if op == RESPONSE:
            answer = frame.json()
            if asked == "gg" and len(answer) != 2:
                yield wrong("an answer to gg is [uuid, endpoint]")
            if asked == "cl":
                for record in answer:
                    yield from (wrong(found) for found in _record(record))
            if asked == "al":
                for agent in answer:
                    if set(agent) != AGENT_MEMBERS:
                        yield wrong(f"an agent of members {sorted(agent)}")
        case _:
            yield wrong("an op that only clients send, or none at all")


def _network_event(event: dict[str, Any]):
    if set(event) != {"agents", "containers"}:
        yield f"a network event of members {sorted(event)}"
    for agent in event["agents"]:
        if set(agent) != {"id", "kinds", "event"}:
            yield f"an agent's event of members {sorted(agent)}"
    for container in event["containers"]:
        if set(container) != {"container", "event"}:
            yield f"a container's event of members {sorted(container)}"
        yield from _record(container["container"])


def _record(record: dict[str, Any]):
    if set(record) - RECORD_MEMBERS:
        yield f"a record of members {sorted(record)}"
    for member in ("agentId", "uuid", "kind", "endpoint"):
        if not isinstance(record[member], str):
            yield f"{member} is no text"
    if not isinstance(record["lastVisit"], (int, float)):
        yield "lastVisit is no number"
    json.loads(record["endpoint"])
