"""What the command line says of failures, and its exit codes."""

import json
import subprocess
from pathlib import Path

import pytest

from conftest import Peers, Programs
from programs import BIN, Network, run_huly
from wire import eventually, fresh


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


def test_a_watch_says_when_all_is_told_anew(
    peers: Peers, programs: Programs, tmp_path: Path
) -> None:
    network = programs.network()
    kind, uuid = fresh("kind"), fresh("room")
    peers.agent(network, [kind])
    peers.client(network).get(kind, {"uuid": uuid})
    log = tmp_path / "watch"
    command = [str(BIN / "huly"), "--network", network.host, "watch"]
    with log.open("w") as out, subprocess.Popen(command, stdout=out) as watch:
        try:
            there = f"container  there    {uuid} of kind {kind}"
            eventually("it is there", lambda: there in log.read_text())
            network.kill()
            network.start()
            again = "network    again    what there is now follows"
            eventually("it is told anew", lambda: again in log.read_text())
            eventually("it is there again", lambda: uuid in log.read_text().split(again)[1])
        finally:
            watch.kill()
    assert log.read_text().count(again) == 1
