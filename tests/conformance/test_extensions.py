"""What Rust peers are told and TypeScript peers are not, as docs/protocol.md states it."""

import json
from typing import Any

import pytest

from conftest import Peers, Programs
from programs import Agent, Network
from raw import Raw, rust_hello
from wire import EVENT, PING, PONG, REQUEST, RESPONSE, UPDATED, PeerError
from wire import eventually, fresh, text


def rust(peers: Peers, network: Network, **options: Any) -> Raw:
    raw = peers.raw(network.address)
    raw.hello(huly=rust_hello(**options))
    return raw


@pytest.mark.covers("frame 0 hello client", "frame 0 hello server")
def test_hello_answer(peers: Peers, network: Network) -> None:
    """The answer to a Rust hello has a payload; that to any other has none."""
    raw = peers.raw(network.address)
    answer = raw.hello(huly=rust_hello()).json()
    assert set(answer) >= {"v", "instance", "term", "network", "features", "control", "limits"}
    assert answer["v"] == 1
    assert answer["network"] == "default"
    assert answer["control"] is False
    assert isinstance(answer["term"], int) and isinstance(answer["features"], list)
    assert peers.raw(network.address).hello().payload == ""


@pytest.mark.covers("frame 0 hello server")
def test_one_instance(peers: Peers, network: Network) -> None:
    """The instance is the server's, the uuid the session's."""
    one, other = peers.raw(network.address), peers.raw(network.address)
    first, second = one.hello(huly=rust_hello()), other.hello(huly=rust_hello())
    assert first.json()["instance"] == second.json()["instance"]
    assert first.id != second.id


@pytest.mark.covers("frame 5 ping client", "frame 6 pong server")
def test_pong_repeats_the_number(peers: Peers, network: Network, agent: Agent) -> None:
    """A pong's payload is its ping's, of the server and of the agent's ROUTER."""
    for address in (network.address, agent.address):
        raw = peers.raw(address)
        raw.hello(huly=rust_hello())
        for number in ("1", "18446744073709551615"):
            raw.send(PING, "", number)
            pong = raw.expect("pong", lambda frame: frame.op == PONG)
            assert pong.payload == number


@pytest.mark.covers("method gg client → server")
def test_get_has_a_placement(peers: Peers, network: Network, agent: Agent) -> None:
    """`gg`: a Rust peer gets [uuid, endpoint, placement], any other [uuid, endpoint]."""
    uuid = fresh("echo")
    params = {"kind": "echo", "request": {"uuid": uuid}}
    got = rust(peers, network).call("gg", params)
    assert len(got) == 3 and got[0] == uuid
    assert agent.id in text(got[2])
    plain = peers.client(network).call("gg", params)
    assert plain == got[:2]


@pytest.mark.covers("W12")
def test_the_epoch_in_the_endpoint(peers: Peers, network: Network, agent: Agent) -> None:
    """soundness.md, epochs: a Rust agent's endpoint texts have one member more than W12's."""
    _, endpoint = peers.client(network).get("echo", {"uuid": fresh("echo")})
    members = set(json.loads(endpoint)) - {"kind", "host", "port", "agentId", "uuid"}
    assert len(members) == 1


@pytest.mark.covers("method gg client → server")
def test_placement_of_a_typescript_agent(peers: Peers, network: Network) -> None:
    """A Rust peer is told where a container of a TypeScript agent lives as well."""
    kind = fresh("kind")
    agent = peers.agent(network, [kind])
    got = rust(peers, network).call("gg", {"kind": kind, "request": {}})
    assert got[1] == agent.endpoint_of(got[0])
    assert agent.id in text(got[2])


@pytest.mark.covers("frame 3 responseError server")
def test_error_codes(peers: Peers, network: Network) -> None:
    """Errors to Rust peers have a code, and rejections where nobody fits."""
    raw = rust(peers, network)
    kind = fresh("nobody")
    with pytest.raises(PeerError, match=f"^No suitable agents found for container {kind}") as e:
        raw.call("gg", {"kind": kind, "request": {}})
    assert e.value.code in ("noSuitableAgent", "noSuchKind")
    with pytest.raises(PeerError) as e:
        raw.call("cs", [fresh("nothing"), "x", None])
    assert e.value.code == "noSuchContainer"
    with pytest.raises(PeerError) as e:
        raw.call("zz", {})
    assert e.value.code == "badRequest"


@pytest.mark.covers("frame 3 responseError client", "frame 3 responseError server")
def test_error_of_the_container_has_a_code(peers: Peers, network: Network, agent: Agent) -> None:
    """`failed`: the container's own error. A TypeScript agent's errors say no code, so none is made
    up for them: they may as well be the agent's own.
    """
    raw = rust(peers, network)
    kind = fresh("kind")
    peers.agent(network, [kind])
    for asked, codes in ((kind, ("failed", None)), ("echo", ("failed",))):
        uuid = raw.call("gg", {"kind": asked, "request": {}})[0]
        with pytest.raises(PeerError, match="boom") as raised:
            raw.call("cs", [uuid, "fail", {"message": "boom"}])
        assert raised.value.code in codes


@pytest.mark.covers(
    "method kl client → server", "method kr client → server", "method xs client → server",
)
def test_control_needs_the_secret(peers: Peers, programs: Programs, tmp_path) -> None:
    """Control methods answer notAllowed to who did not say the secret; the session is ordinary."""
    file = tmp_path / "secret"
    file.write_text("open sesame\n")
    network = programs.network(control_secret_file=file)
    controlled = [("kr", {"kinds": []}), ("xs", {"sync": "s", "uuids": [], "chunk": 0, "last": True})]
    for secret in (None, "wrong", ""):
        raw = peers.raw(network.address)
        assert raw.hello(huly=rust_hello(secret=secret)).json()["control"] is False
        for method, params in controlled:
            with pytest.raises(PeerError) as raised:
                raw.call(method, params)
            assert raised.value.code == "notAllowed"
        assert raw.call("kl", {}) == []
    raw = peers.raw(network.address)
    assert raw.hello(huly=rust_hello(secret="open sesame")).json()["control"] is True
    assert raw.call("kr", {"kinds": []}) == []
    assert raw.call("xs", {"sync": "s", "uuids": [], "chunk": 0, "last": True}) == {
        "released": [],
        "missing": [],
    }


@pytest.mark.covers("frame 0 hello client", "frame 0 hello server")
def test_no_control_without_a_secret_file(peers: Peers, network: Network) -> None:
    """A server that was given no secret lets nobody control it, an empty secret included."""
    for secret in (None, "", "x"):
        raw = peers.raw(network.address)
        assert raw.hello(huly=rust_hello(secret=secret)).json()["control"] is False


@pytest.mark.covers("method xd client → server", "method xs client → server")
def test_durable_references(peers: Peers, programs: Programs, tmp_path) -> None:
    """A durable reference outlives its session and the server; a sync without it ends it."""
    file = tmp_path / "secret"
    file.write_text("s3cret")
    network = programs.network(control_secret_file=file)
    agent = programs.agent(network)
    uuid, client_id = fresh("counter"), fresh("operator")

    def operator() -> Raw:
        raw = peers.raw(network.address, client_id=client_id)
        assert raw.hello(huly=rust_hello(secret="s3cret")).json()["control"] is True
        return raw

    first = operator()
    request = {"kind": "counter", "request": {"uuid": uuid}, "huly": {"durable": True}}
    first.call("gg", request)
    client = peers.client(network)
    client.request(uuid, "increment")
    assert first.call("xd", {}) == "ok"
    first.drop()
    # Another container that nobody holds is ended meanwhile; this one is not.
    idle, _ = client.get("counter", {"uuid": fresh("counter")})
    client.release(idle)
    eventually(
        "the idle one is ended",
        lambda: [each["uuid"] for each in client.call("cl", {"kind": "counter"})] == [uuid],
        9,
    )
    network.kill()
    network.start()
    eventually("a new session", lambda: len(client.sessions) == 2)
    assert client.request(uuid, "increment") == {"value": 2}
    second = operator()
    kept = second.call("xs", {"sync": "1", "uuids": [uuid], "chunk": 0, "last": True})
    assert kept == {"released": [], "missing": []}
    ended = second.call("xs", {"sync": "2", "uuids": [], "chunk": 0, "last": True})
    assert ended["released"] == [uuid]
    assert agent.running


@pytest.mark.covers("method xs client → server")
def test_missing_in_a_sync(peers: Peers, programs: Programs, tmp_path) -> None:
    """A sync says what the server does not hold; it comes in numbered chunks."""
    file = tmp_path / "secret"
    file.write_text("s3cret")
    network = programs.network(control_secret_file=file)
    raw = peers.raw(network.address)
    raw.hello(huly=rust_hello(secret="s3cret"))
    wanted = [fresh("room") for _ in range(4)]
    raw.call("xs", {"sync": "1", "chunk": 0, "uuids": wanted[:2], "last": False})
    answer = raw.call("xs", {"sync": "1", "chunk": 1, "uuids": wanted[2:], "last": True})
    assert answer["released"] == []
    assert sorted(answer["missing"]) == sorted(wanted)


@pytest.mark.covers("method xs client → server")
def test_half_a_sync_releases_nothing(peers: Peers, programs: Programs, tmp_path) -> None:
    """A chunk out of order is refused: what was in the lost one stays held."""
    file = tmp_path / "secret"
    file.write_text("s3cret")
    network = programs.network(control_secret_file=file)
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    raw = peers.raw(network.address)
    raw.hello(huly=rust_hello(secret="s3cret"))
    get = {"kind": kind, "request": {"uuid": uuid}, "huly": {"durable": True}}
    raw.call("gg", get)
    for chunks in ([(1, True)], [(0, False), (2, True)]):
        sync = fresh("sync")
        *whole, (chunk, last) = chunks
        for number, each_last in whole:
            raw.call("xs", {"sync": sync, "chunk": number, "uuids": [], "last": each_last})
        with pytest.raises(PeerError):
            raw.call("xs", {"sync": sync, "chunk": chunk, "uuids": [], "last": last})
    # A container that nobody holds is ended meanwhile, this one is not.
    idle, _ = raw.call("gg", {"kind": kind, "request": {"uuid": fresh("room")}})[:2]
    raw.call("cr", {"uuid": idle})
    eventually("the idle one is ended", lambda: agent.terminated == [idle], 9)
    sync = {"sync": fresh("sync"), "chunk": 0, "uuids": [uuid], "last": True}
    assert raw.call("xs", sync) == {"released": [], "missing": []}


@pytest.mark.covers("method gg client → server")
def test_new_and_strict(peers: Peers, network: Network) -> None:
    """`gg.huly`: `new` never reuses; `strict` makes a uuid of another kind an error."""
    raw = rust(peers, network)
    kind, other = fresh("kind"), fresh("kind")
    peers.agent(network, [kind, other])
    label = fresh("label")
    get = {"kind": kind, "request": {"labels": [label]}}
    first = raw.call("gg", get)[0]
    assert raw.call("gg", get)[0] == first
    assert raw.call("gg", {**get, "huly": {"new": True}})[0] != first
    of_other = {"kind": other, "request": {"uuid": first}}
    assert raw.call("gg", of_other)[0] == first
    with pytest.raises(PeerError) as raised:
        raw.call("gg", {**of_other, "huly": {"strict": True}})
    assert raised.value.code == "otherKind"


@pytest.mark.covers("frame 4 event server")
def test_held_events(peers: Peers, programs: Programs) -> None:
    """A Rust holder is sent `held` when its container moves, and no NetworkEvent ever."""
    network = programs.network()
    kind = fresh("kind")
    agents = {agent.id: agent for agent in (peers.agent(network, [kind]) for _ in range(2))}
    raw = rust(peers, network)
    get = {"kind": kind, "request": {"uuid": fresh("room")}}
    uuid, endpoint, _ = raw.call("gg", get)
    lost = agents.pop(json.loads(endpoint)["agentId"])
    [left] = agents.values()
    lost.client.drop()
    event = raw.expect("held", lambda frame: frame.op == EVENT and "held" in frame.json())
    [held] = event.json()["held"]
    assert (held["uuid"], held["event"]) == (uuid, UPDATED)
    assert held["endpoint"] == left.endpoint_of(uuid)
    assert left.id in text(held["placement"])
    assert all("containers" not in each.json() for each in raw.seen if each.op == EVENT)


@pytest.mark.covers("W05", "method gg client → server")
def test_answers_to_gets_are_remembered(peers: Peers, network: Network) -> None:
    """A get that is sent again under its id is answered as it was, with no new container."""
    raw = rust(peers, network)
    kind = fresh("kind")
    agent = peers.agent(network, [kind])
    get = {"kind": kind, "request": {}, "huly": {"new": True}}
    id = raw.ask("gg", get)
    first = raw.answer_to(id).json()
    raw.ask("gg", get, id)
    assert raw.answer_to(id).json() == first
    assert len(agent.containers) == 1


@pytest.mark.covers("method xr client → server")
def test_reassertion(peers: Peers, network: Network) -> None:
    """`xr` answers with the containers that are known."""
    raw = rust(peers, network)
    assert raw.call("xr", {"gets": []}) == []


@pytest.mark.covers(
    "method xw client → server", "method xu client → server", "frame 4 event server",
)
def test_feed(peers: Peers, network: Network) -> None:
    """`xw`: a position, a snapshot of its revision, then each event with the next."""
    raw = rust(peers, network)
    kind = fresh("kind")
    agent = peers.agent(network, [kind])
    uuid = peers.client(network).get(kind, {"uuid": fresh("room")})[0]
    start = raw.call("xw", {})
    assert not start.get("agents") and not start.get("containers")
    at = start["revision"]

    def events() -> list[dict]:
        while frame := raw.receive(0):
            raw.seen.append(frame)
        return [each.json()["feed"] for each in raw.seen if each.op == EVENT]

    eventually("the snapshot has the container", lambda: uuid in text(events()))
    second = peers.client(network).get(kind, {"uuid": fresh("room")})[0]
    eventually("an event has the new one", lambda: second in text(events()))
    peers.client(network)
    feed = events()
    assert agent.id in text(feed)
    snapshot = [each for each in feed if each.get("snapshot")]
    later = [each for each in feed if not each.get("snapshot")]
    assert {each["revision"] for each in snapshot} == {at}
    revisions = [each["revision"] for each in later]
    assert revisions == list(range(at + 1, at + 1 + len(revisions)))
    assert {each["instance"] for each in feed} == {start["instance"]}
    assert raw.call("xu", {}) == "ok"


@pytest.mark.covers(
    "method ar client → server", "method gg server → agent's client",
    "method cs server → agent's client",
)
def test_a_rust_agent_is_told_what_it_keeps(peers: Peers, network: Network) -> None:
    """To an agent that registers with `huly`: a uuid always, StartExt at `gg`, CallExt at `cs`."""
    agent = rust(peers, network)
    kind, agent_id = fresh("kind"), fresh("agent")
    huly = {"labels": {"zone": "a"}, "specs": [], "draining": False}
    registration = {"uuid": agent_id, "containers": [], "kinds": [kind], "huly": huly}
    assert agent.call("ar", registration) == []
    caller = peers.raw(network.address)
    caller.hello()
    caller.ask("gg", {"kind": kind, "request": {"labels": ["a"]}}, "get")
    asked = agent.expect("gg", lambda frame: frame.op == REQUEST)
    method, [to, [asked_kind, request], start] = asked.json()
    assert (method, to, asked_kind) == ("gg", agent_id, kind)
    assert request["uuid"] and start["epoch"]
    endpoint = text({"kind": 2, "host": "", "port": 0, "agentId": agent_id})
    agent.send(RESPONSE, asked.id, text([request["uuid"], endpoint]))
    assert caller.answer_to("get").json() == [request["uuid"], endpoint]
    caller.ask("cs", [request["uuid"], "x", 1], "call")
    asked = agent.expect("cs", lambda frame: frame.op == REQUEST)
    method, [to, call, ext] = asked.json()
    assert (method, to, call) == ("cs", agent_id, [request["uuid"], "x", 1])
    assert ext["epoch"] == start["epoch"]
    assert (ext["client"], ext["request"]) == (caller.client_id, "call")


@pytest.mark.covers("method cs client → agent's ROUTER", "method cs server → agent's client")
def test_a_resend_at_the_agents_router_runs_once(
    peers: Peers, network: Network, agent: Agent
) -> None:
    """CallExt: (client, request) is the caller's on every route, run once within the epoch."""
    uuid, _ = peers.client(network).get("counter", {"uuid": fresh("counter")})
    client_id = fresh("client")
    routed = peers.raw(network.address, client_id=client_id)
    direct = peers.raw(agent.address, client_id=client_id)
    huly = rust_hello()
    for raw in (routed, direct):
        raw.hello(huly=huly)
    assert direct.call("cs", [uuid, "increment", None]) == {"value": 1}
    id = fresh("request")
    for raw in (direct, routed, direct):
        raw.ask("cs", [uuid, "increment", None], id)
        assert raw.answer_to(id).json() == {"value": 2}
    assert direct.call("cs", [uuid, "value", None]) == {"value": 2}
