"""The programs under test, each a process on free ports, with its log in a file."""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from wire import DEADLINE, eventually

BIN = Path(
    os.environ.get("HULY_BIN")
    or Path.home() / ".cache/huly-network/target/debug"
)

_taken: set[int] = set()


def free_port() -> int:
    """A free port below the ephemeral ones: a peer that dials again never takes it as its own."""
    while True:
        port = random.randrange(10000, 20000)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port


class Program:
    """A process of one of the binaries that can be killed and started again with the same flags."""

    def __init__(self, binary: str, flags: dict[str, Any], folder: Path, name: str):
        self.command = [str(BIN / binary)]
        for flag, value in flags.items():
            for each in value if isinstance(value, list) else [value]:
                self.command += [f"--{flag}", str(each)]
        self.http = flags["http"].replace("[::]", "[::1]")
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        # What the caller's environment says must not change what is tested.
        clean = {key: value for key, value in os.environ.items() if "HULY" not in key}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env=clean
            )
        if wait:
            eventually(f"{self.command} is ready", self._ready)

    def kill(self) -> None:
        """SIGKILL, also to a process that is stopped."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def stop(self) -> None:
        """Freezes the process (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of its HTTP side."""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=5) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def families(self) -> list[Any]:
        status, body = self.get("/metrics")
        assert status == 200, body
        return list(text_string_to_metric_families(body))

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name and those labels; the name must be there."""
        named = self._samples(name)
        assert named, f"{self.command} has no metric {name}"
        return sum(each.value for each in named if labels.items() <= each.labels.items())

    def _samples(self, name: str) -> list[Any]:
        samples = [sample for family in self.families() for sample in family.samples]
        return [sample for sample in samples if sample.name == name]

    def _ready(self) -> bool:
        if not self.running:
            log = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.command} exited {self.process.returncode}: {log}")
        try:
            status, _ = self.get("/readyz")
        except OSError:
            return False
        return status == 200


def listen(host: str) -> str:
    """What a program listens on that is reached at this host and port."""
    return host.replace("[::1]", "[::]")


class Network(Program):
    def __init__(self, folder: Path, name: str = "network", at: str = "127.0.0.1", **flags: Any):
        """`at`: where it is reached. At `[::1]` it listens on all addresses, of IPv4 too."""
        self.host = f"{at}:{free_port()}"
        self.address = f"tcp://{self.host}"
        given = {flag.replace("_", "-"): value for flag, value in flags.items()}
        flags = {"listen": listen(self.host), "http": listen(f"{at}:{free_port()}"), **given}
        super().__init__("huly-network", flags, folder, name)


class Agent(Program):
    """The stock agent: kinds echo, counter, chat-room and direct-room."""

    def __init__(
        self, network: Network, folder: Path, name: str, at: str = "127.0.0.1", **flags: Any
    ):
        self.id = name
        self.host = f"{at}:{free_port()}"
        self.address = f"tcp://{self.host}"
        flags = {
            "network": network.host,
            "listen": listen(self.host),
            "advertise": self.host,
            "http": listen(f"{at}:{free_port()}"),
            "id": name,
            **flags,
        }
        super().__init__("huly-agent", flags, folder, name)


def run_huly(
    network: Network, *arguments: str, within: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    """Runs the CLI against a network to its end."""
    command = [str(BIN / "huly"), "--network", network.host, *arguments]
    clean = {key: value for key, value in os.environ.items() if "HULY" not in key}
    return subprocess.run(command, capture_output=True, text=True, timeout=within, env=clean)


def huly(network: Network, *arguments: str, within: float = DEADLINE) -> str:
    """As run_huly; returns what it prints, and fails if it does not exit 0."""
    began = time.monotonic()
    done = run_huly(network, *arguments, within=within)
    took = time.monotonic() - began
    assert done.returncode == 0, f"{done.args} after {took:.1f} s: {done.stderr}"
    return done.stdout
