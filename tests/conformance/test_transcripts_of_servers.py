"""What the recorded TypeScript server said, said to our agents and clients: they do the same."""

from concurrent.futures import Future
from typing import Any

import pytest

from conftest import Listeners, Programs
from recorded_agent import RecordedAgent
from recorded_server import RecordedRouter, RecordedServer
from rust_client import RustClient, RustError
from transcripts import STATELESS, Differences, Line, meaning, recorded
from wire import ASK_HELLO, CLOSE, ERROR, EVENT, HELLO, PING, REQUEST, RESPONSE, ROUTED
from wire import eventually, text


class Replay:
    """Plays the recorded server: who connects is ours, and says what the recorded peers said.

    Uuids of agents and clients, ids of requests and endpoints are ours instead of the recorded.
    """

    def __init__(
        self, name: str, agents: set[str], listeners: Listeners, programs: Programs
    ):
        self.lines = recorded(name)
        self.agents = agents
        self.listeners = listeners
        self.programs = programs
        self.differences = Differences(name, "peers")
        self.server: RecordedServer = listeners.listen(RecordedServer())
        self.clients: dict[str, str] = {}
        self.programs_of: dict[str, RecordedAgent | RustClient] = {}
        self.answers: dict[tuple[str, str], tuple[Line, Future]] = {}
        """What was asked of the server and is to be answered: the line, and our answer to be."""
        self.results: dict[tuple[str, str], tuple[Line, Future]] = {}
        """What our client was told to do: what is to come of it."""
        self.calls: dict[tuple[str, str], tuple[Line, Future]] = {}
        self.names: dict[str, str] = {}
        """Ours for the recorded uuids."""
        self.texts: dict[str, str] = {}
        """Recorded endpoints for ours, by container."""
        self.refused: list[Future] = []
        """Our answers to be to registrations of a container that stands by."""
        self.restarted = False
        self.trying: dict[str, tuple[str, Any]] = {}
        """By peer, a get that no agent could serve."""
        self.compared = 0
        """Requests, results and answers of ours that were held against the record."""

    def run(self) -> None:
        for line in self.lines:
            if line.said:
                self.said(line)
            else:
                self.told(line)
        assert not self.server.asked, "ours asks more than was asked"
        assert not (self.answers or self.results or self.calls)
        self.differences.check()

    # What the recorded peers said, ours has to say.

    def said(self, line: Line) -> None:
        key = (line.peer, line.frame.id)
        match line.frame.op:
            case op if op == HELLO:
                self.start(line)
            case op if op == REQUEST:
                self.ask(line)
            case op if op in (RESPONSE, ERROR) and key in self.calls:
                call, answer = self.calls.pop(key)
                self.compare_answer(call, line, answer)
            case op if op == CLOSE and line.peer not in self.agents:
                self.programs_of[line.peer].do("close")
                client = self.clients[line.peer]
                eventually("it says close", lambda: self.server.frames(CLOSE, client))

    def start(self, line: Line) -> None:
        if line.peer in self.clients:
            return
        before = set(self.server.clients)
        if line.peer in self.agents:
            # It is not ready before it is registered.
            agent = self.programs.recorded_agent(self.server, wait=False, leader=STATELESS)
            self.names[self.agent_of(line)] = agent.id
            self.programs_of[line.peer] = agent
        else:
            self.programs_of[line.peer] = self.listeners.rust(self.server)
        self.clients[line.peer] = self.server.next_client(before)

    def agent_of(self, hello: Line) -> str:
        """The uuid under which the peer registers an agent."""
        return next(
            line.call[1]["uuid"]
            for line in self.lines
            if line.peer == hello.peer and line.frame.op == REQUEST and line.call[0] == "ar"
        )

    def ask(self, line: Line) -> None:
        method, params = line.call
        client = self.clients[line.peer]
        key = (line.peer, line.frame.id)
        if key in self.answers:
            self.differences.meet("after a restart a get is sent once")
            return
        if line.peer not in self.agents and not self.asks_by_itself(line):
            self.results[key] = (line, self.command(line.peer, method, params))
        if method == "au":
            # Ours leaves at SIGTERM.
            self.programs_of[line.peer].process.terminate()
        said, answer = self.server.await_request(client, method)
        self.answers[key] = (line, answer)
        self.compared += 1
        if method == "ar":
            if self.compare_registration(params, said):
                self.refused.append(answer)
        else:
            assert meaning(said) == self.ours(params)

    def asks_by_itself(self, line: Line) -> bool:
        """What is held in the second after the restart, and what no agent could serve."""
        soon = self.restarted and line.ms < self.restarted_at + 1000
        return soon or self.trying.get(line.peer) == line.call

    def command(self, peer: str, method: str, params: Any) -> Future:
        rust: Any = self.programs_of[peer]
        match method:
            case "al":
                return rust.start("agents")
            case "ak":
                return rust.start("kinds")
            case "cl":
                return rust.start("containers", kind=params.get("kind"))
            case "gg":
                request = params["request"]
                name = request.get("uuid") or "without"
                return rust.start("get", name=name, kind=params["kind"], **request)
            case "cr":
                return rust.start("release", name=self.held_as(rust, params["uuid"]))
            case "cs":
                uuid, operation, data = params
                return rust.ask(self.held_as(rust, uuid), operation, data)
        raise AssertionError(f"nothing of ours asks {method}")

    def held_as(self, rust: RustClient, uuid: str) -> str:
        """The name under which a client holds a container that the record calls so."""
        try:
            rust.look(uuid)
        except RustError:
            return "without"
        return uuid

    # What the recorded server said, ours is told.

    def told(self, line: Line) -> None:
        key = (line.peer, line.frame.id)
        match line.frame.op:
            case op if op == ASK_HELLO and not self.restarted:
                self.restarted, self.restarted_at = True, line.ms
                hellos = {each: len(self.server.frames(HELLO, each)) for each in self.server.clients}
                self.server.restart()
                for client, said in hellos.items():
                    eventually(
                        "it says hello again",
                        lambda: len(self.server.frames(HELLO, client)) > said,
                    )
            case op if op == REQUEST:
                self.call(line)
            case op if op in (RESPONSE, ERROR) and key in self.answers:
                asked, answer = self.answers.pop(key)
                self.give(line, answer)
                if line.frame.op == ERROR and asked.call[0] == "gg":
                    # It tries on by itself.
                    self.trying[line.peer] = self.results.pop(key, (asked, None))[0].call
                elif key in self.results:
                    self.compare_result(asked, line, self.results.pop(key)[1])
            case op if op == EVENT:
                event = self.ours(line.frame.json())
                self.server.send_event(self.clients[line.peer], event)

    def call(self, line: Line) -> None:
        method, [_, params] = line.call
        agent = self.programs_of[line.peer].id
        ours = self.server.call_back(
            self.clients[line.peer], method, [agent, self.ours(params)]
        )
        self.calls[line.peer, line.frame.id] = (line, ours)

    def give(self, line: Line, answer: Future) -> None:
        value = self.ours(line.frame.json())
        if answer in self.refused:
            # It said more than was recorded, so it is answered as the server answers that (W17).
            value = [STATELESS]
        if line.frame.op == RESPONSE:
            answer.set_result(value)
        else:
            answer.set_exception(RuntimeError(value["message"]))

    # Whether ours means the same.

    def compare_registration(self, params: dict[str, Any], said: dict[str, Any]) -> bool:
        """Whether ours registers a standby that the original has ended."""
        assert said["uuid"] == self.names[params["uuid"]]
        assert set(params["kinds"]) <= set(said["kinds"])
        hosted = {(each["uuid"], each["kind"]) for each in params["containers"]}
        ours = {(each["uuid"], each["kind"]) for each in said["containers"]}
        standby = (STATELESS, "leader")
        stands_by = standby in ours - hosted
        if stands_by:
            self.differences.meet("a container that was refused a stateless uuid stands by")
            ours.remove(standby)
        assert ours == hosted
        endpoints = {each["uuid"]: each["endpoint"] for each in said["containers"]}
        for each in params["containers"]:
            self.texts[each["endpoint"]] = endpoints[each["uuid"]]
        return stands_by

    def compare_answer(self, call: Line, line: Line, answer: Future) -> None:
        """Our agent's answer to a call of the server."""
        self.compared += 1
        method, [_, params] = call.call
        recorded = line.frame.json()
        if line.frame.op == ERROR:
            assert str(answer.exception(5)) == recorded["message"]
            return
        said = answer.result(5)
        if method == "gg":
            uuid, endpoint = said
            if uuid != recorded[0]:
                self.differences.meet("a get by labels returns the container that has them")
                assert uuid == "room-general"
                self.names[recorded[0]] = uuid
            self.texts[recorded[1]] = endpoint
        elif method == "cs" and params[0] in self.names:
            # It is another container than recorded, so it counts on.
            assert {**said, "n": 0} == {**recorded, "n": 0}
        else:
            # What a room of the one recording answers has less in it.
            assert {key: said[key] for key in recorded} == recorded if recorded else said == ""
        if method == "ct" and params[0] == STATELESS:
            self.differences.meet("a stateless container that was told to end is made again")
            self.await_made_again(self.clients[call.peer])

    def await_made_again(self, client: str) -> None:
        """Our agent registers when its list changes (W24), so with the container in the end."""
        listed: set[str] = set()
        while STATELESS not in listed:
            said, answer = self.server.await_request(client, "ar")
            listed = {each["uuid"] for each in said["containers"]}
            answer.set_result([])

    def compare_result(self, asked: Line, line: Line, result: Future) -> None:
        """What our client makes of the server's answer."""
        self.compared += 1
        method = asked.call[0]
        recorded = self.ours(line.frame.json())
        if line.frame.op == ERROR:
            error = result.exception(5)
            assert isinstance(error, RustError)
            assert error.message.startswith(recorded["message"].split("\n")[0])
            return
        made = result.result(5)
        match method:
            case "gg":
                assert [made["uuid"], made["endpoint"]] == recorded
            case "cr":
                assert made is None
            case "al":
                kept = ("agentId", "endpoint", "kinds", "containers")
                assert [{key: each[key] for key in kept} for each in made] == recorded
            case _:
                assert meaning(made) == meaning(recorded)

    def ours(self, value: Any) -> Any:
        """A recorded value with our uuids and endpoints."""
        match value:
            case dict():
                return {key: self.ours(each) for key, each in value.items()}
            case list():
                return [self.ours(each) for each in value]
            case str():
                return self.names.get(value, self.texts.get(value, value))
        return value


@pytest.mark.covers(
    "frame 1 request server", "frame 2 response client", "frame 3 responseError client",
    "method gg server → agent's client", "method cs server → agent's client",
    "method ct server → agent's client",
)
def test_network(listeners: Listeners, programs: Programs) -> None:
    """Clients and an agent of ours, where the original's were recorded."""
    replay = Replay("network", {"peer1"}, listeners, programs)
    replay.run()
    assert replay.compared == 40


@pytest.mark.covers("W04", "W19", "W21")
def test_restart(listeners: Listeners, programs: Programs) -> None:
    """Two agents and a client of ours, at a server that is killed and started."""
    replay = Replay("restart", {"peer1", "peer2"}, listeners, programs)
    replay.run()
    assert replay.compared == 23


@pytest.mark.covers(
    "W12", "frame 4 event agent's ROUTER", "frame 5 ping client", "frame 8 close client",
    "method cc client → agent's ROUTER", "method cd client → agent's ROUTER",
    "method cs client → agent's ROUTER",
)
def test_agent(listeners: Listeners) -> None:
    """A client of ours at the recorded agent's own ROUTER."""
    room = "room-general"
    router: RecordedRouter = listeners.listen(RecordedRouter())
    at = {"kind": ROUTED, "host": "127.0.0.1", "port": router.port, "agentId": "a", "uuid": room}
    server = listeners.server()
    server.instead["gg"] = lambda _client, _params: [room, text(at)]
    rust = listeners.rust(server)
    rust.get("chat-room", room)
    differences = Differences("agent", "peers")
    client = ""
    asked: dict[str, tuple[str, Future, Future]] = {}
    """By recorded id the method, the answer to be, and what is to come of it at our client."""
    comes_of_it = {"cc": {"direct": True}, "cd": None}
    heard: list[Any] = []

    def ask(line: Line) -> tuple[str, Future, Future]:
        method, params = line.call
        if method == "cs":
            _, operation, data = params
            ask = {"operation": operation, "data": data}
            result = rust.start("requestDirect", name=room, ask=ask)
        else:
            result = connecting if method == "cc" else rust.start("disconnect", name=room)
        said, answer = router.await_request(client, method)
        # One uuid is a text or a list of it; a request may have a member more.
        meant = said[:3] if method == "cs" else {"uuid": "".join(said["uuid"])}
        assert meant == params
        return method, answer, result

    for line in recorded("agent"):
        match line.frame.op:
            case op if op == HELLO and line.said:
                connecting = rust.start("connect", name=room)
                client = router.next_client()
            case op if op == REQUEST and line.ms > 10_000:
                differences.meet("cd is not said of what is not connected")
            case op if op == REQUEST:
                asked[line.frame.id] = ask(line)
            case op if op == RESPONSE:
                method, answer, result = asked.pop(line.frame.id)
                answer.set_result(line.frame.json())
                assert result.result(5) == comes_of_it.get(method, line.frame.json())
            case op if op == EVENT:
                _, data = line.frame.json()
                heard.append(data)
                router.send_event(client, line.frame.json())
                eventually("it is heard", lambda: rust.events.get(room) == heard)
            case op if op == PING:
                eventually("it pings", lambda: router.frames(PING, client))
            case op if op == CLOSE:
                rust.do("close")
                eventually("it says close", lambda: router.frames(CLOSE, client))
    assert not (asked or router.asked)
    assert heard
    differences.check()
