"""What the operator says and what Rust agents are told of it, as docs/protocol.md states it; agents
that drain.
"""

from collections.abc import Callable
from typing import Any

import pytest

from conftest import Peers, Programs
from programs import Network, huly
from raw import Raw, rust_hello
from wire import ERROR, PeerError, fresh

SECRET = "open sesame"


@pytest.fixture(scope="module")
def controlled(shared: Programs) -> Network:
    """A network that somebody may control who knows the secret."""
    file = shared.folder / "secret"
    file.write_text(SECRET)
    return shared.network(control_secret_file=file)


@pytest.fixture
def operator(peers: Peers, controlled: Network) -> Raw:
    raw = peers.raw(controlled.address)
    assert raw.hello(huly=rust_hello(secret=SECRET)).json()["control"] is True
    return raw


@pytest.fixture
def get(peers: Peers, controlled: Network) -> Callable[..., tuple[Raw, str]]:
    """Asks for a container as a Rust client of its own: the client and the request's id."""

    def get(kind: str, uuid: str | None = None, **huly: Any) -> tuple[Raw, str]:
        raw = peers.raw(controlled.address)
        raw.hello(huly=rust_hello())
        request = {"uuid": uuid} if uuid else {}
        return raw, raw.ask("gg", {"kind": kind, "request": request, "huly": huly})

    return get


def specification(kind: str, revision: int = 1, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "revision": revision, "strategy": "RoundRobin", **more}


@pytest.mark.covers(
    "method ks client → server", "method kl client → server", "method ks server → agent's client"
)
def test_a_kinds_specification(peers: Peers, controlled: Network, operator: Raw) -> None:
    """Everybody may read it; a Rust agent that serves the kind is told; the last word holds,
    whatever its revision; a TypeScript agent is told nothing.
    """
    kind = fresh("kind")
    agent = peers.raw_agent(controlled, kind, rust=True)
    other = peers.raw_agent(controlled, fresh("other"), rust=True)
    plain = peers.raw_agent(controlled, kind)
    for each in (agent, other, plain):
        each.register()
    reader = peers.raw(controlled.address)
    reader.hello(huly=rust_hello())
    for said in (2, 1, 3):
        spec = specification(kind, said, idleTimeoutMs=said * 1000)
        assert operator.call("ks", spec) == "ok"
        [listed] = [each for each in reader.call("kl", {}) if each["kind"] == kind]
        assert (listed["revision"], listed["idleTimeoutMs"]) == (said, said * 1000)
        call, [told] = agent.called("ks")
        assert told == listed
        agent.answer(call, "ok")
    for each in (other, plain):
        each.not_called("ks")
    # An agent that comes later is told as well.
    late = peers.raw_agent(controlled, kind, rust=True)
    late.register()
    _, told = late.called("ks")
    assert [(each["kind"], each["revision"]) for each in told] == [(kind, 3)]


@pytest.mark.covers("method kr client → server", "method kr server → agent's client")
def test_kinds_that_are_no_more(peers: Peers, controlled: Network, operator: Raw) -> None:
    """`kr` says the full set: what it does not name is removed, and its agents are told."""
    kept, gone = fresh("kept"), fresh("gone")
    agent = peers.raw_agent(controlled, kept, gone, rust=True)
    agent.register()
    for kind in (kept, gone):
        operator.call("ks", specification(kind))
        agent.answer(agent.called("ks")[0], "ok")
    others = [each["kind"] for each in operator.call("kl", {}) if each["kind"] != gone]
    assert operator.call("kr", {"kinds": others}) == [gone]
    call, kinds = agent.called("kr")
    assert kinds == [gone]
    agent.answer(call, "ok")
    kinds = [each["kind"] for each in operator.call("kl", {})]
    assert kept in kinds and gone not in kinds


@pytest.mark.covers("method ks client → server", "frame 3 responseError server")
def test_a_specification_is_kept_to(
    peers: Peers, controlled: Network, operator: Raw, get: Callable[..., tuple[Raw, str]]
) -> None:
    """Where a kind is placed, how many fit, and how long one lives that nobody holds."""
    kind = fresh("kind")
    spec = specification(
        kind, maxPerAgent=1, idleTimeoutMs=300, agentSelector={"matchLabels": {"zone": "a"}}
    )
    operator.call("ks", spec)
    elsewhere = peers.raw_agent(controlled, kind, rust=True)
    elsewhere.huly["labels"] = {"zone": "b"}
    elsewhere.register()
    raw, id = get(kind)
    answer = raw.answer_to(id).json()
    assert answer["code"] == "noSuitableAgent"
    assert [each["agents"] for each in answer["rejections"]] == [1]
    agent = peers.raw_agent(controlled, kind, rust=True)
    agent.huly["labels"] = {"zone": "a"}
    agent.register()
    raw, id = get(kind)
    uuid = agent.start()
    assert raw.answer_to(id).json()[0] == uuid
    full, id = get(kind, new=True)
    answer = full.answer_to(id)
    assert answer.op == ERROR and answer.json()["code"] in ("exhausted", "noSuitableAgent")
    assert raw.call("cr", {"uuid": uuid}) == "ok"
    call, [ended] = agent.called("ct")
    assert ended == uuid
    agent.answer(call, "")
    raw, id = get(kind)
    agent.start()
    assert raw.answer_to(id).json()[0] != uuid
    elsewhere.not_called("gg")


@pytest.mark.covers("method xh server → agent's client")
def test_an_agent_keeps_who_holds(
    peers: Peers, controlled: Network, operator: Raw, get: Callable[..., tuple[Raw, str]]
) -> None:
    """A durable reference is written into the container's record at its agent, and out of it."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(controlled, kind, rust=True)
    agent.register()
    raw, id = get(kind, uuid)
    agent.start()
    raw.answer_to(id)
    params = {"kind": kind, "request": {"uuid": uuid}, "huly": {"durable": True}}
    assert operator.call("gg", params)[0] == uuid
    call, [told] = agent.called("xh")
    assert (told["uuid"], told["holders"]) == (uuid, [operator.client_id])
    agent.answer(call, "ok")
    with pytest.raises(PeerError):
        raw.call("gg", params)  # Without the secret.
    assert operator.call("cr", {"uuid": uuid}) == "ok"
    _, [told] = agent.called("xh")
    assert (told["uuid"], told["holders"]) == (uuid, [])


@pytest.mark.covers("method xc server → agent's client")
def test_an_agent_is_told_what_is_its_own(
    peers: Peers, controlled: Network, operator: Raw, get: Callable[..., tuple[Raw, str]]
) -> None:
    """Of an exclusive kind a start says so itself; after a registration `xc` does, with the epoch,
    and of other kinds nothing is said.
    """
    alone, other = fresh("alone"), fresh("other")
    agent = peers.raw_agent(controlled, alone, other, rust=True)
    agent.register()
    operator.call("ks", specification(alone, exclusive=True))
    epochs = {}
    for kind in (alone, other):
        raw, id = get(kind, fresh(kind))
        call, _ = agent.called("gg")
        [_, [_, request], ext] = call.json()[1]
        agent.answer(call, [request["uuid"], agent.endpoint(request["uuid"])])
        raw.answer_to(id)
        epochs[request["uuid"]] = (kind, ext["epoch"])
    agent.not_called("xc")
    records = [
        agent.record(uuid, kind, huly={"epoch": epoch, "byUuid": True, "leased": True})
        for uuid, (kind, epoch) in epochs.items()
    ]
    assert agent.register(*records) == []
    call, told = agent.called("xc")
    assert told == [
        {"uuid": uuid, "epoch": epoch} for uuid, (kind, epoch) in epochs.items() if kind == alone
    ]
    agent.answer(call, "ok")


def cells(table: str, key: str) -> dict[str, str]:
    """The row of a table of the command line that begins with a key, by the columns' titles, which
    say where the columns begin.
    """
    titles, *rows = table.splitlines()
    begins = [titles.index(title) for title in titles.split()]
    [row] = [row for row in rows if row.split()[0] == key]
    ends = [*begins[1:], None]
    return {titles[a:b].strip(): row[a:b].strip() for a, b in zip(begins, ends)}


@pytest.mark.covers(
    "method kl client → server", "method cl client → server", "method ks client → server"
)
def test_the_command_line_shows_what_is_specified(
    peers: Peers, controlled: Network, operator: Raw, get: Callable[..., tuple[Raw, str]]
) -> None:
    """Of kinds in the wide table more than in the plain one; of a living container whether it is
    exclusive.
    """
    alone, other, unknown = fresh("alone"), fresh("other"), fresh("unknown")
    agent = peers.raw_agent(controlled, alone, other, unknown, rust=True)
    agent.huly["labels"] = {"zone": "a"}
    agent.register()
    selector = {"matchLabels": {"zone": "a"}}
    spec = specification(alone, 7, exclusive=True, startTimeoutMs=1500, agentSelector=selector)
    operator.call("ks", spec)
    operator.call("ks", specification(other))
    uuids = {}
    for kind in (alone, other, unknown):
        raw, id = get(kind, fresh(kind), fresh=True)
        uuids[kind] = agent.start()
        raw.answer_to(id)

    plain = cells(huly(controlled, "kinds"), alone)
    wide = cells(huly(controlled, "kinds", "-o", "wide"), alone)
    assert plain.items() < wide.items()
    assert {title: text for title, text in wide.items() if title not in plain} == {
        "AGENTS": "1",
        "CONTAINERS": "1",
        "START": "1.5 s",
        "GRACE": "10 s",
        "SELECTOR": "zone=a",
        "REVISION": "7",
    }
    table = huly(controlled, "containers", "-o", "wide")
    for kind, exclusive in ((alone, "yes"), (other, "no"), (unknown, "-")):
        assert cells(table, uuids[kind])["EXCLUSIVE"] == exclusive


@pytest.mark.covers("method xg client → server", "method al client → server")
def test_an_agent_that_drains(
    peers: Peers, controlled: Network, get: Callable[..., tuple[Raw, str]]
) -> None:
    """It gets nothing new and is said to drain; what it hosts goes on, until another has it."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.raw_agent(controlled, kind, rust=True)
    agent.register()
    raw, id = get(kind, uuid)
    agent.start()
    raw.answer_to(id)
    assert agent.raw.call("xg", {"uuid": agent.id}) == "ok"
    [seen] = [each for each in raw.call("al", {}) if each["agentId"] == agent.id]
    assert seen["huly"]["state"] == "Draining"
    asked = raw.ask("cs", [uuid, "echo", None])
    call, _ = agent.called("cs")
    agent.answer(call, "still here")
    assert raw.answer_to(asked).json() == "still here"
    other, id = get(kind)
    assert other.answer_to(id).json()["code"] == "noSuitableAgent"
    agent.not_called("gg")
    spare = peers.raw_agent(controlled, kind, rust=True)
    spare.register()
    ended = {"container": agent.record(uuid), "event": 2}
    assert agent.raw.call("cu", {"agents": [], "containers": [ended]}) == "ok"
    assert spare.start() == uuid
    assert raw.call("gg", {"kind": kind, "request": {"uuid": uuid}})[1] == spare.endpoint(uuid)
    # Who serves no such agent cannot make it drain.
    with pytest.raises(PeerError):
        raw.call("xg", {"uuid": spare.id})
    [seen] = [each for each in raw.call("al", {}) if each["agentId"] == spare.id]
    assert seen["huly"]["state"] == "Live"
