"""IPv6: programs that listen on `[::]`, reached at `[::1]` by both routes, and by IPv4 peers too."""

import json
import socket
import warnings

import pytest

from conftest import Peers, Programs
from peers import TypeScriptClient
from programs import Agent, Network, huly
from wire import eventually, fresh, text

HERE = "[::1]"


@pytest.fixture(scope="module", autouse=True)
def _ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        warnings.warn(f"nothing of IPv6 is tested: there is no ::1 here ({error})", stacklevel=1)
        pytest.skip("there is no ::1 here")


@pytest.fixture(scope="module")
def network(shared: Programs) -> Network:
    return shared.network(at=HERE)


@pytest.fixture(scope="module")
def agent(shared: Programs, network: Network) -> Agent:
    return shared.agent(network, at=HERE)


def port(of: Network | Agent) -> int:
    return int(of.host.rpartition(":")[2])


@pytest.mark.covers("W12")
def test_both_routes(peers: Peers, network: Network, agent: Agent) -> None:
    """W12: an endpoint has the address without brackets; what it names answers."""
    client = peers.client(network)
    uuid, endpoint = client.get("counter", {"uuid": fresh("counter")})
    at = json.loads(endpoint)
    assert (at["host"], at["port"]) == ("::1", port(agent))
    assert client.request(uuid, "increment") == {"value": 1}
    assert peers.direct(agent).request(uuid, "increment") == {"value": 2}


@pytest.mark.covers("W12")
def test_a_containers_own_router(peers: Peers, network: Network, agent: Agent) -> None:
    client = peers.client(network)
    room, endpoint = client.get("direct-room", {"uuid": fresh("room")})
    assert json.loads(endpoint)["host"] == "::1"
    peers.container(endpoint).call("say", {"from": "eva", "text": "hello"})
    assert [each["text"] for each in client.request(room, "history")] == ["hello"]


@pytest.mark.covers("W12", "method cs client → agent's ROUTER")
def test_rust_client(peers: Peers, network: Network, agent: Agent) -> None:
    """A Rust client gets a container, and asks it through the network and at its agent."""
    uuid = fresh("echo")
    got = json.loads(huly(network, "-o", "json", "get", "echo", "--uuid", uuid))
    assert json.loads(got["endpoint"])["host"] == "::1"
    for route, flags in ("routed", []), ("direct", ["--direct"]):
        answer = huly(network, "-o", "json", "request", *flags, uuid, "echo", text(route))
        assert json.loads(answer) == route
        # No other test asks an echo.
        labels = {"kind": "echo", "route": route, "outcome": "ok"}
        eventually(
            f"the agent counts what was {route}",
            lambda at=labels: agent.metric("huly_agent_requests_total", **at) == 1,
        )


@pytest.mark.covers("W12", "method al client → server")
def test_an_agent_says_where_it_is_reached_from_the_server(
    peers: Peers, programs: Programs, network: Network
) -> None:
    agent = programs.agent(network, at=HERE, advertise=[])
    [seen] = [each for each in peers.client(network).call("al", {}) if each["agentId"] == agent.id]
    at = json.loads(seen["endpoint"])
    assert (at["host"], at["port"]) == ("::1", port(agent))


@pytest.mark.covers("W01")
def test_peers_of_ipv4_are_served_beside(peers: Peers, network: Network, agent: Agent) -> None:
    uuid, _ = peers.client(network).get("counter", {"uuid": fresh("counter")})
    for server, of in (network, "network"), (agent, "agent"):
        with TypeScriptClient(f"tcp://127.0.0.1:{port(server)}", of=of) as client:
            client.request(uuid, "increment")
            assert not client.violations
    assert peers.client(network).request(uuid, "value") == {"value": 2}
