"""What a TypeScript peer that listens may ever be sent: nothing of an extension but hello's `huly`."""

import json
from typing import Any

from plain import ERROR_MEMBERS, RECORD_MEMBERS
from wire import CLOSE, ERROR, HELLO, PING, REQUEST, RESPONSE, Frame

PARAMS = {
    "network": {
        "ar": {"uuid", "containers", "kinds", "endpoint"},
        "au": {"uuid"},
        "al": set(),
        "ak": set(),
        "cl": {"kind"},
        "gg": {"kind", "request"},
        "cr": {"uuid"},
        "cs": 3,
    },
    "agent": {"cc": {"uuid"}, "cd": {"uuid"}, "cs": 3},
}
"""Of a network server and of an agent's ROUTER: the methods, and their params' members or number."""


def violations(frame: Frame, asked: str | None, of: str) -> list[str]:
    """What in a frame is not the original's. `asked`: the method of ours that it answers.

    `of` is who listens: a `network`, an `agent` or a `container`.
    """
    try:
        return [f"{found}: {frame}" for found in _violations(frame, asked, of)]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return [f"{frame}: {error!r}"]


def _violations(frame: Frame, asked: str | None, of: str):
    match frame.op:
        case op if op == HELLO:
            said = frame.json()
            if set(said) - {"aliveTimeout", "huly"}:
                yield "hello says aliveTimeout, and of extensions `huly` alone"
            if not isinstance(said["aliveTimeout"], (int, float)):
                yield "aliveTimeout is seconds"
            if not frame.id:
                yield "hello names the client"
        case op if op == REQUEST:
            if not frame.id:
                yield "a request has an id"
            method, params = frame.json()
            if of != "container":
                yield from _request(method, params, of)
        case op if op == RESPONSE:
            if asked is None:
                yield "an answer to nothing that was asked"
            yield from _answer(asked, frame.json())
        case op if op == ERROR:
            if asked is None:
                yield "an answer to nothing that was asked"
            if set(frame.json()) != ERROR_MEMBERS:
                yield "an error is message and stack"
        case op if op in (PING, CLOSE):
            if frame.id or frame.payload:
                yield "ping and close say nothing more"
        case _:
            yield "an op that only those who listen send, or none at all"


def _request(method: str, params: Any, of: str):
    known = PARAMS[of]
    if method not in known:
        yield "a method that the original does not have"
    elif isinstance(known[method], int):
        if len(params) != known[method]:
            yield "more params than the original's"
    elif set(params) - known[method]:
        yield "more members than the original's"
    elif method == "gg" and set(params["request"]) - {"uuid", "extra", "labels"}:
        yield "a get with more members than the original's"
    elif method == "ar":
        for record in params["containers"]:
            yield from _record(record)


def _answer(asked: str | None, answer: Any):
    match asked:
        case "gg":
            if len(answer) != 2 or not all(isinstance(each, str) for each in answer):
                yield "an answer to gg is [uuid, endpoint]"
            json.loads(answer[1])
        case "cl":
            for record in answer:
                yield from _record(record)
        case "ct":
            if answer != "":
                yield "an answer to ct is empty text"


def _record(record: dict[str, Any]):
    if set(record) - RECORD_MEMBERS:
        yield "a record with more members than the original's"
    if {"agentId", "uuid", "kind", "endpoint", "lastVisit"} - set(record):
        yield "a record that lacks members"
