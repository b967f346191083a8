"""Fixtures: programs and peers, all ended when the test is over."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import rows
from peers import TypeScriptClient
from programs import Agent, Network, Program
from raw import Raw, rust_hello
from raw_agent import RawAgent
from recorded_agent import RecordedAgent
from relay import Relay
from rust_client import RustClient
from ts_agent import TypeScriptAgent
from ts_listener import Listener
from ts_server import TypeScriptServer
from wire import eventually, fresh


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--covered", action="store_true", help="print what of the protocol which test covers"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "covers(*identifiers): lines and rows of the protocol that it shows; see rows.py"
    )


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if not config.getoption("covered"):
        return None
    print(rows.table())
    return 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = rows.known()
    for item in items:
        for mark in item.iter_markers("covers"):
            if unknown := set(mark.args) - known:
                raise pytest.UsageError(f"{item.nodeid} covers what is not there: {unknown}")


class Programs:
    """Starts programs, and ends them with the scope of its fixture."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.started: list[Program] = []

    def network(self, **flags: Any) -> Network:
        return self._start(Network(self.folder, f"network-{len(self.started)}", **flags))

    def agent(self, network: Network | Relay, **flags: Any) -> Agent:
        return self._start(Agent(network, self.folder, fresh("agent"), **flags))

    def recorded_agent(self, network: Any, wait: bool = True, **flags: Any) -> RecordedAgent:
        """At whatever has a `host`. It is ready when it is registered: that may not be waited for."""
        agent = RecordedAgent(network, self.folder, fresh("agent"), **flags)
        return self._start(agent, wait)

    def end(self) -> None:
        for program in reversed(self.started):
            if program.running:
                program.kill()

    def _start(self, program: Any, wait: bool = True) -> Any:
        self.started.append(program)
        program.start(wait)
        return program


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs of this test alone."""
    programs = Programs(tmp_path)
    yield programs
    programs.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    programs = Programs(tmp_path_factory.mktemp("programs"))
    yield programs
    programs.end()


@pytest.fixture(scope="module")
def network(shared: Programs) -> Network:
    """A network server that the tests of a module share."""
    return shared.network()


@pytest.fixture(scope="module")
def settled(network: Network) -> Network:
    """The same, old enough that what agents register is news to it."""
    eventually("it has settled", lambda: network.metric("huly_network_settling") == 0)
    return network


@pytest.fixture(scope="module")
def agent(shared: Programs, network: Network) -> Agent:
    """A stock agent that the tests of a module share."""
    return shared.agent(network)


@pytest.fixture
def peers() -> Iterator["Peers"]:
    peers = Peers()
    yield peers
    peers.end()


class Peers:
    """Makes peers; at the end none of the TypeScript ones may have seen anything of an extension."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.clients: list[TypeScriptClient] = []

    def client(self, network: Network | Relay, **options: Any) -> TypeScriptClient:
        client = self.stack.enter_context(TypeScriptClient(network.address, **options))
        self.clients.append(client)
        return client

    def direct(self, agent: Agent) -> TypeScriptClient:
        """A client of an agent's own ROUTER."""
        client = TypeScriptClient(agent.address, of="agent")
        self.clients.append(self.stack.enter_context(client))
        return client

    def container(self, endpoint: str) -> TypeScriptClient:
        """A client of a container's own ROUTER."""
        at = json.loads(endpoint)
        client = TypeScriptClient(f"tcp://{at['host']}:{at['port']}", of="agent")
        self.clients.append(self.stack.enter_context(client))
        return client

    def agent(
        self, network: Network | Relay, kinds: list[str], alive_timeout: float = 3, **options: Any
    ) -> TypeScriptAgent:
        agent = self.stack.enter_context(TypeScriptAgent(kinds, **options))
        agent.serve_at(network.address, alive_timeout)
        self.clients.append(agent.client)
        return agent

    def relay(self, program: Network | Agent) -> Relay:
        """A connection to a program that the test can cut: give it to a peer in its stead."""
        return self.stack.enter_context(Relay(program.host))

    def raw(self, address: str, **options: Any) -> Raw:
        return self.stack.enter_context(Raw(address, **options))

    def raw_agent(self, network: Network, *kinds: str, rust: bool = False) -> RawAgent:
        """An agent that registers when the test says so, on a connection of its own."""
        raw = self.raw(network.address)
        raw.hello(huly=rust_hello() if rust else None)
        huly = {"labels": {}, "specs": [], "draining": False} if rust else None
        return RawAgent(raw, list(kinds), huly)

    def end(self) -> None:
        self.stack.close()
        found = [each for client in self.clients for each in client.violations]
        assert not found, "frames that a TypeScript peer must never see"


@dataclass
class Bystander:
    """A TypeScript client that holds a container and must be served all the while."""

    client: TypeScriptClient
    direct: TypeScriptClient
    uuid: str

    def check(self) -> None:
        for client in (self.client, self.direct):
            marker = fresh("marker")
            assert client.request(self.uuid, "echo", marker, within=5) == marker
        assert len(self.client.sessions) == len(self.direct.sessions) == 1


@pytest.fixture(scope="module")
def bystander(network: Network, agent: Agent) -> Iterator[Bystander]:
    """The same one all the while: what one test does to it, the next ones see as well."""
    peers = Peers()
    client = peers.client(network)
    uuid, _ = client.get("echo", {"uuid": fresh("echo")})
    yield Bystander(client, peers.direct(agent), uuid)
    peers.end()


class Listeners:
    """TypeScript peers that listen, and Rust clients of theirs, each a process that a test steers.

    At the end none of those who listen may have been sent anything of an extension.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()
        self.listening: list[Listener] = []

    def server(self, **options: Any) -> TypeScriptServer:
        return self.listen(TypeScriptServer(**options))

    def listen(self, listener: Any) -> Any:
        self.listening.append(self.stack.enter_context(listener))
        return listener

    def client(self, server: TypeScriptServer) -> TypeScriptClient:
        """A TypeScript client of a TypeScript server: nothing of ours to be held against rules."""
        return self.stack.enter_context(TypeScriptClient(server.address))

    def agent(self, server: TypeScriptServer, kinds: list[str], **options: Any) -> TypeScriptAgent:
        agent = self.stack.enter_context(TypeScriptAgent(kinds, **options))
        return agent.serve_at(server.address)

    def rust(self, network: Any) -> RustClient:
        """A Rust client of whatever has a `host`."""
        return self.stack.enter_context(RustClient(network.host, self.folder / "clients.log"))

    def end(self) -> None:
        self.stack.close()
        found = [each for listener in self.listening for each in listener.violations]
        assert not found, "frames that a TypeScript peer must never be sent"


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[Listeners]:
    listeners = Listeners(tmp_path)
    yield listeners
    listeners.end()
