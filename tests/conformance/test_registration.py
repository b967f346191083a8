"""Agents: what they register, what is told of it, and what becomes of their containers."""

import json
import time

import pytest

from conftest import Peers
from programs import Network
from raw import Raw
from raw_agent import RawAgent
from wire import ADDED, DIRECT, ERROR, EVENT, REMOVED, UPDATED, eventually, fresh, text


def known(peers: Peers, network: Network) -> Raw:
    raw = peers.raw(network.address)
    raw.hello()
    return raw


class Watcher:
    """A TypeScript client that only reads events, with the time at which each came."""

    def __init__(self, peers: Peers, network: Network):
        self.raw = known(peers, network)
        self.batches: list[tuple[float, dict]] = []

    def pump(self) -> None:
        while frame := self.raw.receive(0):
            if frame.op == EVENT:
                self.batches.append((time.monotonic(), frame.json()))

    def agent(self, agent: str) -> list[tuple[int, list[str]]]:
        self.pump()
        return [
            (each["event"], each["kinds"])
            for _, batch in self.batches
            for each in batch["agents"]
            if each["id"] == agent
        ]

    def container(self, uuid: str) -> list[tuple[int, dict]]:
        self.pump()
        return [
            (each["event"], each["container"])
            for _, batch in self.batches
            for each in batch["containers"]
            if each["container"]["uuid"] == uuid
        ]

    def events(self, uuid: str) -> list[int]:
        return [event for event, _ in self.container(uuid)]


@pytest.mark.covers("W10", "method cl client → server", "method gg client → server")
def test_a_record(peers: Peers, settled: Network) -> None:
    """W10: of one that registered what its agent said; of one that was started the get's labels,
    and the endpoint that the agent answered, which the original leaves out.
    """
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(settled, kind)
    said = agent.record(uuid, labels=["a", "b"], extra={"topic": ["x", None]}, lastVisit=1750000000000.5)
    agent.register(said)
    raw = known(peers, settled)
    [record] = raw.call("cl", {"kind": kind})
    assert {**record, "lastVisit": 0} == {**said, "lastVisit": 0}
    assert isinstance(record["lastVisit"], (int, float))
    started = fresh("room")
    id = raw.ask("gg", {"kind": kind, "request": {"uuid": started, "labels": ["c"], "extra": {"n": 1}}})
    agent.start()
    raw.answer_to(id)
    [record] = [each for each in raw.call("cl", {}) if each["uuid"] == started]
    assert (record["agentId"], record["kind"]) == (agent.id, kind)
    assert record["endpoint"] == agent.endpoint(started)
    assert (record["labels"], record["extra"]) == (["c"], {"n": 1})


@pytest.mark.covers("W12", "frame 4 event server")
def test_endpoints_are_passed_on_byte_for_byte(peers: Peers, settled: Network) -> None:
    """W12: of every kind, with members that nobody knows and in whatever order; to all who see it."""
    kind = fresh("kind")
    agent = peers.raw_agent(settled, kind)
    texts = {
        fresh("room"): '{"port":1,"kind":0 , "host":"a","agentId":"x","uuid":"y","later":[1,{}]}',
        fresh("room"): text({"kind": DIRECT, "host": "::1", "port": 65535, "agentId": "ž"}),
        fresh("room"): '{"kind":2,"host":"","port":0,"agentId":"\\u0041"}',
    }
    watcher = Watcher(peers, settled)
    own = '{ "kind" : 1, "port": 7, "host": "h", "agentId": "own" }'
    agent.register(*(agent.record(uuid, endpoint=each) for uuid, each in texts.items()), endpoint=own)
    raw = known(peers, settled)
    for uuid, endpoint in texts.items():
        assert raw.call("gg", {"kind": kind, "request": {"uuid": uuid}}) == [uuid, endpoint]
        eventually("the event", lambda uuid=uuid: watcher.container(uuid))
        assert watcher.container(uuid)[0][1]["endpoint"] == endpoint
    listed = {each["uuid"]: each["endpoint"] for each in raw.call("cl", {"kind": kind})}
    assert listed == texts
    [seen] = [each for each in raw.call("al", {}) if each["agentId"] == agent.id]
    assert seen == {"agentId": agent.id, "endpoint": own, "kinds": [kind], "containers": 3}


@pytest.mark.covers("W11", "frame 4 event server")
def test_events_are_merged(peers: Peers, settled: Network) -> None:
    """W11: in a batch one per agent and container; added and updated stay added, removed wins."""
    watcher = Watcher(peers, settled)
    first, agent = peers.raw_agent(settled, "one"), peers.raw_agent(settled, "two", "three")
    moves, goes, stays = fresh("moves"), fresh("goes"), fresh("stays")
    moved = agent.endpoint(moves, host="elsewhere")
    # The first event goes at once; what follows in the next 100 ms is one batch.
    first.register()
    steps = [
        [agent.record(moves), agent.record(goes), agent.record(stays)],
        [agent.record(moves, endpoint=moved), agent.record(goes), agent.record(stays)],
        [agent.record(moves, endpoint=moved), agent.record(stays)],
    ]
    ids = [agent.raw.ask("ar", agent.registration(*records)) for records in steps]
    for id in ids:
        assert agent.raw.answer_to(id).json() == []
    eventually("all is told", lambda: watcher.events(goes)[-1:] == [REMOVED])
    assert watcher.events(stays) == [ADDED]
    assert watcher.events(goes) in ([REMOVED], [ADDED, REMOVED])
    assert watcher.events(moves) in ([ADDED], [ADDED, UPDATED])
    assert watcher.container(moves)[-1][1]["endpoint"] == moved
    event, kinds = watcher.agent(agent.id)[0]
    assert (event, sorted(kinds)) == (ADDED, ["three", "two"])
    for _, batch in watcher.batches:
        uuids = [each["container"]["uuid"] for each in batch["containers"]]
        ids = [each["id"] for each in batch["agents"]]
        assert len(uuids) == len(set(uuids)) and len(ids) == len(set(ids))


@pytest.mark.covers("W17", "method ar client → server")
def test_several_agents_of_the_same_containers(peers: Peers, settled: Network) -> None:
    """W17: each uuid is the first one's; the answer to the others names just what they must end."""
    kind = fresh("kind")
    one, two, three = (peers.raw_agent(settled, kind) for _ in range(3))
    a, b, c, d = (fresh(name) for name in "abcd")
    assert one.register(one.record(a), one.record(b)) == []
    assert two.register(two.record(b), two.record(c)) == [b]
    assert sorted(three.register(*(three.record(each) for each in (a, c, d)))) == sorted([a, c])
    raw = known(peers, settled)
    owners = {each["uuid"]: each["agentId"] for each in raw.call("cl", {"kind": kind})}
    assert owners == {a: one.id, b: one.id, c: two.id, d: three.id}
    counts = {each["agentId"]: each["containers"] for each in raw.call("al", {})}
    assert [counts[agent.id] for agent in (one, two, three)] == [2, 1, 1]
    # It ends what it was told to end, and registers what is left: nobody loses anything.
    assert two.register(two.record(c)) == []
    assert three.register(three.record(d)) == []
    assert owners == {each["uuid"]: each["agentId"] for each in raw.call("cl", {"kind": kind})}
    # When the first one goes without a, a later one may have it.
    assert one.register(one.record(b)) == []
    assert three.register(three.record(d), three.record(a)) == []
    assert {each["uuid"]: each["agentId"] for each in raw.call("cl", {"kind": kind})}[a] == three.id


@pytest.mark.covers("W17", "W24", "method ar client → server", "method ak client → server")
def test_an_agent_registers_again(peers: Peers, settled: Network) -> None:
    """W17: kinds come and go, unchanged containers are no news, missing ones are removed, what is
    in no record any more of labels and extra is kept (W24).
    """
    one, two = fresh("one"), fresh("two")
    kept, gone = fresh("kept"), fresh("gone")
    agent, watcher = peers.raw_agent(settled, one), Watcher(peers, settled)
    raw = known(peers, settled)
    agent.register(agent.record(gone))
    id = raw.ask("gg", {"kind": one, "request": {"uuid": kept, "labels": ["a"], "extra": {"b": 1}}})
    agent.start()
    raw.answer_to(id)
    eventually("both are told", lambda: watcher.events(kept) and watcher.events(gone))
    agent.kinds = [two, one]
    assert agent.register(agent.record(kept, one)) == []
    eventually("the missing one is told", lambda: watcher.events(gone) == [ADDED, REMOVED])
    assert watcher.events(kept) == [ADDED]
    event, kinds = watcher.agent(agent.id)[-1]
    assert (event, sorted(kinds)) == (UPDATED, sorted([one, two]))
    assert {one, two} <= set(raw.call("ak", {}))
    [record] = raw.call("cl", {"kind": one})
    assert (record["labels"], record["extra"]) == (["a"], {"b": 1})
    agent.kinds = [two]
    agent.register(agent.record(kept, one))
    assert two in raw.call("ak", {})
    answer = raw.answer_to(raw.ask("gg", {"kind": one, "request": {"uuid": fresh("room")}}))
    assert answer.op == ERROR
    assert raw.call("gg", {"kind": one, "request": {"uuid": kept}})[0] == kept


@pytest.mark.covers("W17", "W25", "frame 4 event server")
def test_endpoints_move(peers: Peers, settled: Network) -> None:
    """W17: the same agent may move its own endpoint and those of its containers: `updated` of each."""
    kind, uuid, still = fresh("kind"), fresh("room"), fresh("still")
    agent, watcher = peers.raw_agent(settled, kind), Watcher(peers, settled)
    raw = known(peers, settled)
    before = agent.endpoint(uuid, kind=DIRECT, port=1)
    agent.register(agent.record(uuid, endpoint=before), agent.record(still))
    assert raw.call("gg", {"kind": kind, "request": {"uuid": uuid}}) == [uuid, before]
    eventually("it is told", lambda: watcher.events(uuid))
    after, own = agent.endpoint(uuid, kind=DIRECT, port=2), agent.endpoint(kind=DIRECT, port=3)
    assert agent.register(agent.record(uuid, endpoint=after), agent.record(still), endpoint=own) == []
    eventually("the move is told", lambda: watcher.events(uuid) == [ADDED, UPDATED])
    assert watcher.container(uuid)[-1][1]["endpoint"] == after
    assert watcher.events(still) == [ADDED]
    assert raw.call("gg", {"kind": kind, "request": {"uuid": uuid}}) == [uuid, after]
    [seen] = [each for each in raw.call("al", {}) if each["agentId"] == agent.id]
    assert seen["endpoint"] == own


@pytest.mark.covers("W03", "W17", "method au client → server", "method al client → server")
def test_two_agents_of_one_client(peers: Peers, settled: Network) -> None:
    """W03: one connection may serve several: calls say for whom, `au` ends one of them."""
    kind, other = fresh("kind"), fresh("other")
    one = peers.raw_agent(settled, kind)
    two = RawAgent(one.raw, [other])
    for agent in (one, two):
        agent.register()
    raw = known(peers, settled)
    made = {}
    for agent, its_kind in ((one, kind), (two, other)):
        id = raw.ask("gg", {"kind": its_kind, "request": {"uuid": fresh("room")}})
        made[agent.id] = agent.start()
        assert json.loads(raw.answer_to(id).json()[1])["agentId"] == agent.id
    for agent in (one, two):
        id = raw.ask("cs", [made[agent.id], "echo", agent.id])
        call, params = agent.called("cs")
        assert params == [made[agent.id], "echo", agent.id]
        agent.answer(call, "mine")
        assert raw.answer_to(id).json() == "mine"
    watcher = Watcher(peers, settled)
    assert one.raw.call("au", {"uuid": one.id}) == "ok"
    eventually("its end is told", lambda: [event for event, _ in watcher.agent(one.id)] == [REMOVED])
    assert REMOVED not in [event for event, _ in watcher.agent(two.id)]
    agents = [each["agentId"] for each in raw.call("al", {})]
    assert one.id not in agents and two.id in agents
    assert kind not in raw.call("ak", {}) and other in raw.call("ak", {})
    id = raw.ask("cs", [made[two.id], "echo", None])
    call, _ = two.called("cs")
    two.answer(call, "still here")
    assert raw.answer_to(id).json() == "still here"


@pytest.mark.covers("W08", "W16", "W18")
def test_agents_of_a_client_that_is_silent(peers: Peers, settled: Network) -> None:
    """W18: both of its agents are dead with it: what nobody holds is removed, what somebody holds
    goes to another agent.
    """
    kinds = [fresh("one"), fresh("two")]
    one = peers.raw_agent(settled, kinds[0])
    two = RawAgent(one.raw, kinds[1:])
    spare = peers.raw_agent(settled, kinds[1])
    watcher = Watcher(peers, settled)
    idle, held = fresh("idle"), fresh("held")
    one.register(one.record(idle))
    two.register(two.record(held))
    spare.register()
    raw = known(peers, settled)
    assert raw.call("gg", {"kind": kinds[1], "request": {"uuid": held}})[0] == held
    eventually("both are told", lambda: watcher.events(held) == watcher.events(idle) == [ADDED])
    # Its aliveTimeout from now on; the last that is heard of it.
    one.raw.hello(alive_timeout=1)
    spare.start()
    eventually("what is held is told", lambda: watcher.events(held) == [ADDED, UPDATED])
    eventually("what is idle is told", lambda: watcher.events(idle) == [ADDED, REMOVED])
    eventually("one is told", lambda: watcher.agent(one.id)[-1:] == [(REMOVED, kinds[:1])])
    eventually("two is told", lambda: watcher.agent(two.id)[-1:] == [(REMOVED, kinds[1:])])
    assert watcher.container(held)[-1][1]["agentId"] == spare.id
    assert kinds[0] not in raw.call("ak", {}) and kinds[1] in raw.call("ak", {})
    listed = [each["uuid"] for each in raw.call("cl", {})]
    assert held in listed and idle not in listed


@pytest.mark.covers("W18", "method au client → server")
def test_an_agent_that_unregisters(peers: Peers, settled: Network) -> None:
    """An `au` is at once: what is held moves; it is `removed` only where nothing replaces it."""
    kind = fresh("kind")
    agent, watcher = peers.raw_agent(settled, kind), Watcher(peers, settled)
    raw = known(peers, settled)
    held, idle = fresh("held"), fresh("idle")
    agent.register(agent.record(held), agent.record(idle))
    raw.call("gg", {"kind": kind, "request": {"uuid": held}})
    eventually("both are told", lambda: watcher.events(held) == watcher.events(idle) == [ADDED])
    spare = peers.raw_agent(settled, kind)
    spare.register()
    assert agent.raw.call("au", {"uuid": agent.id}) == "ok"
    assert spare.start() == held
    eventually("the move is told", lambda: watcher.events(held) == [ADDED, UPDATED])
    eventually("the end is told", lambda: watcher.events(idle) == [ADDED, REMOVED])
    id = raw.ask("cs", [held, "echo", None])
    call, _ = spare.called("cs")
    spare.answer(call, 1)
    assert raw.answer_to(id).json() == 1


@pytest.mark.covers("W11", "method cu agent's client → server")
@pytest.mark.parametrize("rust", [False, True], ids=["typescript", "rust"])
def test_an_agent_says_what_ended(rust: bool, peers: Peers, settled: Network) -> None:
    """`cu`: a container that ended at its agent is removed, or placed again if it is held."""
    kind = fresh("kind")
    agent, watcher = peers.raw_agent(settled, kind, rust=rust), Watcher(peers, settled)
    raw = known(peers, settled)
    agent.register()
    uuids = [fresh("held"), fresh("released")]
    for uuid in uuids:
        id = raw.ask("gg", {"kind": kind, "request": {"uuid": uuid}})
        assert agent.start() == uuid
        raw.answer_to(id)
    held, released = uuids
    raw.call("cr", {"uuid": released})
    eventually("both are told", lambda: watcher.events(held) and watcher.events(released))
    ended = [{"container": agent.record(uuid), "event": REMOVED} for uuid in uuids]
    assert agent.raw.call("cu", {"agents": [], "containers": ended}) == "ok"
    # Its next life: the same uuid, asked of the only agent there is.
    assert agent.start() == held
    eventually("the end is told", lambda: watcher.events(released)[-1:] == [REMOVED])
    id = raw.ask("cs", [held, "echo", None])
    call, _ = agent.called("cs")
    agent.answer(call, "again")
    assert raw.answer_to(id).json() == "again"
    assert [each["uuid"] for each in raw.call("cl", {"kind": kind})] == [held]


@pytest.mark.covers("W19", "W20", "method cs server → agent's client")
def test_a_stateless_container_beside_others(peers: Peers, settled: Network) -> None:
    """W19: its kind is not among the agent's; others keep theirs in reserve, without a word in `ar`."""
    kind, service, uuid, room = fresh("kind"), fresh("service"), fresh("service"), fresh("room")
    one, two, three = (peers.raw_agent(settled, kind) for _ in range(3))
    raw = known(peers, settled)
    assert one.register(one.record(uuid, service), one.record(room)) == []
    assert two.register(two.record(uuid, service), two.record(room)) == [room]
    assert three.register(three.record(uuid, service)) == []
    assert service not in raw.call("ak", {})
    assert raw.call("gg", {"kind": service, "request": {"uuid": uuid}})[0] == uuid
    id = raw.ask("cs", [uuid, "who", None])
    call, _ = one.called("cs")
    one.answer(call, "one")
    assert raw.answer_to(id).json() == "one"
    for standby in (two, three):
        standby.not_called("cs")
    # Asked for by its uuid only: a get of the kind makes none, for nobody makes them.
    answer = raw.answer_to(raw.ask("gg", {"kind": service, "request": {"uuid": fresh("x")}}))
    assert answer.op == ERROR
