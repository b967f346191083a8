"""Metrics and health of the programs, read by Prometheus' own parser in Python."""

import os
import re
import subprocess
import urllib.request
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import Peers, Programs
from programs import BIN, Agent, Network, Program
from raw import rust_hello
from wire import PeerError, eventually, fresh

UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
NOT_BASE = re.compile(
    "_(ms|millis|milliseconds|us|micros|microseconds|ns|nanos|nanoseconds|minutes|hours|"
    "kb|mb|kib|mib|kilobytes|megabytes)(_|$)"
)
TYPES = {"counter", "gauge", "histogram"}


@pytest.fixture(scope="module")
def names(network: Network, agent: Agent) -> list[str]:
    """Names that belong to no label: those of clients, agents and containers of some traffic."""
    peers = Peers()
    client, direct = peers.client(network), peers.direct(agent)
    rust = peers.raw(network.address)
    rust.hello(huly=rust_hello())
    made = []
    for kind in ("echo", "counter", "chat-room"):
        uuid, _ = client.get(kind, {"uuid": fresh("a-uuid"), "labels": ["a-label"]})
        made.append(uuid)
        for asking in (client, direct):
            with pytest.raises(PeerError):
                asking.request(uuid, "an-operation-that-is-none")
    direct.call("cc", {"uuid": made[2]})
    client.release(made[0])
    for method in ("al", "ak", "cl", "xw", "a-method-that-is-none"):
        rust.answer_to(rust.ask(method, {}))
    rust.answer_to(rust.ask("gg", {"kind": "a-kind-that-is-none", "request": {}}))
    rust.send_parts(b"77")
    rust.round_trip()
    names = [*made, client.client_id, direct.client_id, rust.client_id, agent.id]
    names += ["a-uuid", "a-label", "an-operation-that-is-none", "a-method-that-is-none"]
    names += ["a-kind-that-is-none"]
    peers.end()
    return names


def check_families(families: list[Any], prefix: str) -> None:
    assert families
    for family in families:
        assert family.name.startswith(prefix), family.name
        assert not NOT_BASE.search(family.name), f"{family.name} is not in base units"
        assert family.documentation, f"{family.name} has no help text"
        assert family.type in TYPES, f"{family.name} is {family.type}"
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_bytes")), family.name
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith("_total"), sample.name
                assert sample.value >= 0
    samples = [each for family in families for each in family.samples]
    keys = [(each.name, tuple(sorted(each.labels.items()))) for each in samples]
    assert len(keys) == len(set(keys)), "a sample is there twice"


def check_labels(families: list[Any], names: list[str]) -> None:
    for family in families:
        for sample in family.samples:
            for label, value in sample.labels.items():
                where = f'{sample.name}{{{label}="{value}"}}'
                assert not UUID.search(value), where
                assert not any(name in value for name in names), where
                assert "127.0.0.1" not in value, where


@pytest.mark.parametrize(
    ("program", "prefix"), [("network", "huly_network_"), ("agent", "huly_agent_")]
)
def test_metrics(
    program: str, prefix: str, names: list[str], request: pytest.FixtureRequest
) -> None:
    """design.md, programs' surface: names, base units, bounded labels."""
    families = request.getfixturevalue(program).families()
    check_families(families, prefix)
    check_labels(families, names)


def test_kinds_that_clients_invent_are_no_labels(peers: Peers, network: Network) -> None:
    """Bounded labels: gets of kinds that nobody serves add no series."""
    raw = peers.raw(network.address)
    raw.hello()

    def series() -> int:
        return sum(len(family.samples) for family in network.families())

    raw.answer_to(raw.ask("gg", {"kind": fresh("nobody"), "request": {}}))
    before = series()
    for _ in range(50):
        raw.answer_to(raw.ask("gg", {"kind": fresh("nobody"), "request": {}}))
        raw.answer_to(raw.ask(fresh("method"), {}))
        raw.send_parts(fresh("op").encode(), b"")
    raw.round_trip()
    # One more for the unknown method and one for the unreadable op, at most a few of each.
    assert series() < before + 10


def test_metrics_follow_what_happens(peers: Peers, programs: Programs) -> None:
    """Issue 3: a container and its end are seen in the metrics of both programs."""
    network = programs.network()
    agent = programs.agent(network)
    client = peers.client(network)
    count = "huly_agent_containers"
    assert agent.metric(count, kind="counter") == 0
    uuid, _ = client.get("counter", {"uuid": fresh("counter")})
    eventually("one more", lambda: agent.metric(count, kind="counter") == 1, 5)
    client.request(uuid, "increment")
    requests = agent.metric("huly_agent_requests_total", kind="counter")
    for _ in range(5):
        client.request(uuid, "increment")
    eventually(
        "five more",
        lambda: agent.metric("huly_agent_requests_total", kind="counter") == requests + 5,
        5,
    )
    client.release(uuid)
    eventually("its end", lambda: agent.metric(count, kind="counter") == 0, 9)


@pytest.mark.parametrize("program", ["network", "agent"])
def test_health(program: str, request: pytest.FixtureRequest) -> None:
    """/livez and /readyz answer 200; another path 404."""
    served: Program = request.getfixturevalue(program)
    for path in ("/livez", "/readyz"):
        status, body = served.get(path)
        assert status == 200, body
    assert served.get("/nothing")[0] == 404


def test_the_server_is_ready_while_it_settles(programs: Programs) -> None:
    """soundness.md: ready as soon as it listens; settling is a gauge and a line in /readyz."""
    network = programs.network(settle_ms=60000)
    status, body = network.get("/readyz")
    assert status == 200
    assert "settl" in body.lower()
    gauges = [each for each in network.families() if "settling" in each.name]
    assert [sample.value for each in gauges for sample in each.samples] == [1]


def test_an_agent_without_its_server(peers: Peers, programs: Programs) -> None:
    """/readyz says what an agent waits for; it lives on, and is ready again afterwards."""
    network = programs.network()
    agent = programs.agent(network)
    network.kill()
    body = eventually(
        "not ready", lambda: (page := agent.get("/readyz"))[0] == 503 and page[1]
    )
    assert body.strip()
    assert agent.get("/livez")[0] == 200
    network.start()
    eventually("ready", lambda: agent.get("/readyz")[0] == 200)


def test_a_frozen_server_is_not_live(programs: Programs) -> None:
    """/livez is a round trip through the task that serves: a frozen one does not answer 200."""
    network = programs.network()
    assert network.get("/livez")[0] == 200
    network.stop()
    with pytest.raises(OSError):
        network.get("/livez")
    network.resume()
    eventually("live again", lambda: network.get("/livez")[0] == 200)


@pytest.mark.skipif(
    "HULY_OPERATOR_METRICS" not in os.environ,
    reason="HULY_OPERATOR_METRICS, the address of an operator's /metrics, is not given",
)
def test_metrics_of_an_operator() -> None:
    """The same of an operator that runs already: its page is at HULY_OPERATOR_METRICS."""
    with urllib.request.urlopen(os.environ["HULY_OPERATOR_METRICS"], timeout=5) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    check_families(families, "huly_operator_")
    check_labels(families, [])


@pytest.mark.parametrize(
    ("binary", "flags", "named"),
    [
        ("huly-network", ["--listen", "nowhere"], "nowhere"),
        ("huly-network", ["--listen", "127.0.0.1:99999"], "99999"),
        ("huly-agent", ["--network", "127.0.0.1:1", "--label", "novalue"], "novalue"),
        ("huly-agent", ["--http", "7"], "7"),
        ("huly", ["--network", "127.0.0.1:1", "-o", "yaml", "agents"], "yaml"),
    ],
)
def test_a_wrong_flag(binary: str, flags: list[str], named: str) -> None:
    """design.md, programs' surface: a wrong value is named and exits 2."""
    done = subprocess.run([BIN / binary, *flags], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
