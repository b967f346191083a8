"""Stateless containers (W19, W26): a rejected one stays a standby and takes over, whoever made it."""

import json
from pathlib import Path

import pytest

from conftest import Peers, Programs
from peers import TypeScriptClient
from programs import Agent, Network
from raw import Raw, rust_hello
from ts_agent import TypeScriptAgent
from wire import REMOVED, UPDATED, PeerError
from wire import eventually, fresh

KIND = "echo"
"""Served by the stock agent. The TypeScript agents have it only beforehand."""

SECRET = "open sesame"


@pytest.fixture
def network(programs: Programs, tmp_path: Path) -> Network:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    return programs.network(control_secret_file=secret)


def made_beforehand(peers: Peers, network: Network) -> str:
    """A uuid of which every agent of ours makes an echo; said as the operator says it."""
    uuid = fresh("leader")
    operator: Raw = peers.raw(network.address)
    answer = operator.hello(huly=rust_hello(secret=SECRET)).json()
    assert answer["control"] is True
    operator.call("ks", {"kind": KIND, "revision": 1, "statelessUuid": uuid})
    return uuid


def typescript(peers: Peers, network: Network, uuid: str) -> TypeScriptAgent:
    return peers.agent(network, [fresh("kind")], stateless={uuid: KIND})


def standbys(network: Network) -> float:
    return network.metric("huly_network_standbys", kind=KIND)


def until_standbys(network: Network, count: int) -> None:
    eventually(f"{count} stand by", lambda: standbys(network) == count)


def owner(client: TypeScriptClient, uuid: str) -> str:
    """The agent that has the uuid, as its holder was told last."""
    endpoint = client.endpoints.get(uuid)
    return json.loads(endpoint)["agentId"] if endpoint else ""


def until_owned_by(client: TypeScriptClient, uuid: str, agent: str) -> None:
    eventually(f"{agent} has the uuid", lambda: owner(client, uuid) == agent)


def last_two(client: TypeScriptClient, uuid: str) -> list[int]:
    return [event for event, _ in client.container_events(uuid)][-2:]


def listed(client: TypeScriptClient, uuid: str) -> list[str]:
    """The agents of the containers of the uuid that the server lists: of its owner alone."""
    return [each["agentId"] for each in client.call("cl", {}) if each["uuid"] == uuid]


@pytest.mark.covers("W19", "W26")
def test_typescript_standbys_of_our_owner(
    peers: Peers, programs: Programs, network: Network
) -> None:
    """W19, W26: TypeScript standbys are not ended, and one has the uuid when our agent is gone."""
    uuid = made_beforehand(peers, network)
    ours: Agent = programs.agent(network)
    client = peers.client(network)
    eventually("our agent has the uuid", lambda: listed(client, uuid) == [ours.id])
    plain = [typescript(peers, network, uuid) for _ in range(2)]
    until_standbys(network, 2)
    client.get(KIND, {"uuid": uuid})
    assert owner(client, uuid) == ours.id
    assert client.request(uuid, "echo", "hi") == "hi"
    assert [agent.calls for agent in plain] == [[], []]

    ours.kill()
    eventually("another has the uuid", lambda: owner(client, uuid) not in ("", ours.id))
    # The standbys need `removed` first; who holds the uuid is then sent `updated`.
    assert last_two(client, uuid) == [REMOVED, UPDATED]
    [next_one] = [agent for agent in plain if agent.id == owner(client, uuid)]
    [spare] = [agent for agent in plain if agent is not next_one]
    assert client.request(uuid, "echo", "hi")["data"] == "hi"
    assert len(next_one.containers[uuid].calls) == 1
    until_standbys(network, 1)

    # Our agent comes back: it stands by, and the uuid stays where it is.
    ours.start()
    until_standbys(network, 2)
    assert listed(client, uuid) == [next_one.id]
    next_one.client.drop()
    until_owned_by(client, uuid, ours.id)
    assert last_two(client, uuid) == [REMOVED, UPDATED]
    assert client.request(uuid, "echo", "hi") == "hi"
    # The other has tried when it saw `removed`, was refused, and is still there for the next time.
    ours.kill()
    until_owned_by(client, uuid, spare.id)
    assert client.request(uuid, "echo", "hi")["data"] == "hi"
    assert spare.terminated == []


@pytest.mark.covers("W19", "W26")
def test_our_standby_of_a_typescript_owner(
    peers: Peers, programs: Programs, network: Network
) -> None:
    """W19: ours stands by while a TypeScript agent has the uuid, and has it next at once."""
    uuid = made_beforehand(peers, network)
    first = typescript(peers, network, uuid)
    second = typescript(peers, network, uuid)
    client = peers.client(network)
    client.get(KIND, {"uuid": uuid})
    assert owner(client, uuid) == first.id
    ours: Agent = programs.agent(network)
    until_standbys(network, 2)
    # On its own ROUTER too it answers nobody before it has the uuid.
    direct = peers.direct(ours)
    with pytest.raises(PeerError, match="stands by"):
        direct.request(uuid, "echo", "hi")
    assert direct.call("cc", {"uuid": uuid}) == 0

    first.client.drop()
    until_owned_by(client, uuid, ours.id)
    assert last_two(client, uuid) == [REMOVED, UPDATED]
    assert client.request(uuid, "echo", "hi") == "hi"
    assert direct.request(uuid, "echo", "hi") == "hi"
    assert second.terminated == [] and second.containers[uuid].calls == []
    assert listed(client, uuid) == [ours.id]

    # A restart of the server moves nothing, whoever registers first.
    network.kill()
    network.start()
    eventually("all are back", lambda: listed(client, uuid) == [ours.id])
    assert client.request(uuid, "echo", "hi") == "hi"
    assert second.terminated == []
    # In order: our agent leaves, and the TypeScript one has the uuid.
    until_standbys(network, 1)
    assert ours.terminate() == 0
    until_owned_by(client, uuid, second.id)
    assert client.request(uuid, "echo", "hi")["data"] == "hi"


@pytest.mark.covers("W19")
def test_two_of_ours(peers: Peers, programs: Programs, network: Network) -> None:
    """Two agents of ours: the standby has the uuid when the owner is killed, in the next epoch."""
    uuid = made_beforehand(peers, network)
    agents = {agent.id: agent for agent in (programs.agent(network) for _ in range(2))}
    client = peers.client(network)
    until_standbys(network, 1)
    _, endpoint = client.get(KIND, {"uuid": uuid})
    before = json.loads(endpoint)
    agents.pop(before["agentId"]).kill()
    [left] = agents.values()
    until_owned_by(client, uuid, left.id)
    assert json.loads(client.endpoints[uuid])["epoch"] > before["epoch"]
    assert client.request(uuid, "echo", "hi") == "hi"
    eventually(
        "its figures say so", lambda: left.metric("huly_agent_standbys", kind=KIND) == 0
    )
