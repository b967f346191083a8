"""`huly bench faults`: a short run of it, and its end by a signal."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from programs import BIN
from wire import eventually

CLIENTS = 10
SHORT = ["--agents=2", f"--clients={CLIENTS}", "--rate=100", "--latency-ms=30", "--seconds=1", "--pause=4"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Its temporary files go to `folder`."""
    clean = {key: value for key, value in os.environ.items() if "HULY" not in key}
    return subprocess.Popen(
        [BIN / "huly", "bench", "faults", *SHORT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean, "TMPDIR": str(folder)},
    )


FAULTS = [
    "steady",
    "agent-killed",
    "agent-ended",
    "agent-frozen",
    "agent-cut-off",
    "agents-restarted",
    "server-killed",
    "server-frozen",
    "server-and-agent-killed",
    "connections-cut",
    "clients-cut-off",
]


def test_each_request_has_a_fate(tmp_path: Path) -> None:
    bench = start(tmp_path, "--output=json")
    said, errors = bench.communicate(timeout=300)
    assert bench.returncode == 0, errors
    report = json.loads(said)
    parts = {part["fault"]: part for part in report["faults"]}
    assert list(parts) == FAULTS
    assert report["broken"] == []
    for part in parts.values():
        failed = sum(part["failed"].values())
        assert part["requests"] == part["answered"] + failed, part
        assert failed == part["didNotRun"] + part["outcomeUnknown"], part
        assert part["answered"] >= CLIENTS, part
        assert part["ranTwice"] == part["lost"] == part["withoutEnd"] == 0, part
        ways = part["ways"].values()
        assert sum(way["requests"] for way in ways) == part["requests"]
        assert len(ways) == 5
    # What is frozen or stalled is so for 4 s; who is killed might come back within the grace, and who
    # is silent within the alive timeout of 3 s.
    for fault, silence in [
        ("agent-killed", 700),
        ("agent-frozen", 2700),
        ("agent-cut-off", 2700),
        ("server-frozen", 3900),
        ("clients-cut-off", 3900),
    ]:
        assert parts[fault]["longestSilenceMs"] > silence, parts[fault]
    assert parts["connections-cut"]["answeredAfterResend"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong,what",
    [
        ("twice", "ran twice"),
        ("forgotten", "were answered and lost"),
        ("failed", "failed with Failed"),
        ("unanswered", "failed though nothing went wrong"),
    ],
)
def test_a_broken_promise_is_named_and_fails(tmp_path: Path, wrong: str, what: str) -> None:
    agent = tmp_path / "agent"
    agent.write_text(f'#!/bin/sh\nexec "{BIN}/huly-test-agent" --wrong-counter={wrong} "$@"\n')
    agent.chmod(0o755)
    bench = start(
        tmp_path, "--fault=steady", "--deadline=1", f"--agent-program={agent}", "--output=json"
    )
    said, errors = bench.communicate(timeout=200)
    assert bench.returncode == 4, errors
    [broken] = json.loads(said)["broken"]
    assert broken.startswith("steady: ") and broken.endswith(what), broken
    said = {"error": f"broken promises: {broken}", "kind": None, "hint": None}
    assert json.loads(errors.splitlines()[-1]) == said


def state(program: Path) -> str:
    """Of a process in /proc: `T` if it is stopped, `Z` if it has ended and nobody has looked."""
    try:
        return (program / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def until(bench: subprocess.Popen[str], fault: str) -> dict[Path, str]:
    """Waits until a fault begins; returns the programs that it has started, with their names."""
    children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
    while bench.stderr.readline().strip() != f"{fault} …":
        assert bench.poll() is None
    programs = [Path("/proc") / pid for pid in children.read_text().split()]
    named = {program: (program / "comm").read_text().strip() for program in programs}
    assert sorted(named.values()) == ["huly-agent", "huly-agent", "huly-network"]
    return named


def with_a_frozen_server(folder: Path) -> tuple[subprocess.Popen[str], list[Path]]:
    """The benchmark, and the programs that it has started."""
    bench = start(folder, "--fault=server-frozen", "--pause=600")
    programs = list(until(bench, "server-frozen"))
    eventually("the server is frozen", lambda: "T" in map(state, programs))
    return bench, programs


@pytest.mark.parametrize("program", ["huly-agent", "huly-network"])
def test_a_program_that_ends_by_itself_is_named(tmp_path: Path, program: str) -> None:
    bench = start(tmp_path, "--fault=steady", "--fault=connections-cut", "--output=json")
    programs = until(bench, "connections-cut")
    one = next(pid for pid, name in programs.items() if name == program)
    os.kill(int(one.name), signal.SIGKILL)
    said, errors = bench.communicate(timeout=200)
    assert bench.returncode == 1, errors
    error = json.loads(errors.splitlines()[-1])["error"]
    name = {"huly-agent": "agent-"}.get(program, program)
    assert error.startswith(f"connections-cut: {name}") and "SIGKILL" in error, error
    # What was over before is not lost.
    report = json.loads(said)
    assert [part["fault"] for part in report["faults"]] == ["steady"]
    assert report["referencesLeft"] is None


def test_what_was_over_is_told_when_it_is_interrupted(tmp_path: Path) -> None:
    bench = start(tmp_path, "--fault=steady", "--fault=server-frozen", "--pause=600")
    until(bench, "server-frozen")
    bench.send_signal(signal.SIGINT)
    said, errors = bench.communicate(timeout=60)
    assert bench.returncode == 1, errors
    assert errors.splitlines()[-1] == "error: ended by SIGINT"
    assert [line.split()[0] for line in said.split("\n\n")[0].splitlines()] == ["FAULT", "steady"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_started_is_ended(tmp_path: Path, end: signal.Signals) -> None:
    bench, programs = with_a_frozen_server(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1, "the programs' logs"
    bench.send_signal(end)
    bench.communicate(timeout=60)
    assert bench.returncode == 1
    eventually("no program is left", lambda: {*map(state, programs)} == {"gone"})
    assert list(tmp_path.iterdir()) == []


def test_what_was_started_ends_with_a_benchmark_that_is_killed(tmp_path: Path) -> None:
    bench, programs = with_a_frozen_server(tmp_path)
    bench.kill()
    bench.communicate(timeout=60)
    # Who is their parent now may let them be zombies.
    over = {"gone", "Z"}
    try:
        eventually("no program runs", lambda: {*map(state, programs)} <= over)
    finally:
        for program in programs:
            if state(program) not in over:
                os.kill(int(program.name), signal.SIGKILL)


@pytest.mark.parametrize(
    "wrong,what",
    [
        ("--pause=3", "4 seconds or more were expected"),
        ("--network=127.0.0.1:3737", "--network"),
        ("--timeout=5", "--timeout"),
    ],
)
def test_what_it_does_not_do_is_refused(tmp_path: Path, wrong: str, what: str) -> None:
    bench = start(tmp_path, wrong)
    _, errors = bench.communicate(timeout=60)
    assert bench.returncode == 2
    assert what in errors, errors


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    bench = start(tmp_path, "--agent-program=/nowhere/huly-agent")
    _, errors = bench.communicate(timeout=60)
    assert bench.returncode == 1
    assert errors.startswith("error: --agent-program /nowhere/huly-agent"), errors
