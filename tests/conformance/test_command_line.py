"""What the command line says of failures, and its exit codes."""

import json

import pytest

from conftest import Peers
from programs import Network, run_huly
from wire import fresh


def test_an_unknown_outcome_has_an_exit_code_of_its_own(peers: Peers, network: Network) -> None:
    """A script must not send again what may have run."""
    kind, uuid = fresh("kind"), fresh("room")
    agent = peers.agent(network, [kind])
    peers.client(network).get(kind, {"uuid": uuid})
    done = run_huly(network, "--timeout", "1", "request", uuid, "wait")
    assert done.returncode == 3, done.stderr
    assert len(agent.containers[uuid].waiting) == 1
    assert "outcome unknown" in done.stderr
    assert "before you send it again" in done.stderr


def test_scripts_read_what_failed(network: Network) -> None:
    done = run_huly(network, "-o", "json", "get", "a-kind-that-is-none")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stderr)
    assert said["kind"] == "NoSuchKind"
    assert "a-kind-that-is-none" in said["error"]
    assert "huly agents" in said["hint"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timeout", "5", "watch", "--container", "nobody"], "huly containers"),
        (["get", "a-kind-that-is-none"], "huly agents"),
    ],
)
def test_a_failure_says_what_to_do(network: Network, arguments: list[str], said: str) -> None:
    done = run_huly(network, *arguments)
    assert done.returncode == 1, done.stderr
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ") and said in hint
