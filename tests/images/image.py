"""Images unpacked into folders, and their programs run as a container runtime does."""

import os
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from archive import Archive

ARCHIVES = Path(os.environ["HULY_IMAGES"])

# How long a program may take to be ready or to end: many of them share two cores.
DEADLINE = 30.0

ROOT = os.geteuid() == 0


def free_port() -> int:
    """A free port below the ephemeral ones."""
    while True:
        port = random.randrange(10000, 20000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Image:
    """An archive, and the folder that its files are unpacked to."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        self.root = folder / name
        archive = Archive(ARCHIVES / f"{name}.tar")
        self.manifest, self.config = archive.manifest, archive.config
        self.files = archive.files()
        archive.unpack(self.root)
        # What a kubelet and a container runtime add to every container.
        (self.root / "etc").mkdir()
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (self.root / "etc/resolv.conf").write_text("")

    def command(self, *arguments: str) -> list[str]:
        """Root sees nothing but the image, as the image's user; others run the program as it is."""
        (program,) = self.config["config"]["Entrypoint"]
        if ROOT:
            user = self.config["config"]["User"]
            return [shutil.which("chroot"), f"--userspec={user}", str(self.root), program, *arguments]
        return [str(self.root) + program, *arguments]

    def run(self, *arguments: str) -> str:
        """Runs it to its end; returns what it prints, and fails if it does not exit 0."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=DEADLINE, env={}
        )
        assert done.returncode == 0, f"{self.name} {arguments}: {done.stderr}"
        return done.stdout


    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts it; what it prints can be read."""
        return subprocess.Popen(
            self.command(*arguments), stdout=subprocess.PIPE, text=True, env={}
        )


class Process:
    """A program of an image that serves, ready when it says so."""

    def __init__(self, image: Image, log: Path, **flags: str):
        self.http = f"127.0.0.1:{free_port()}"
        self.log = log
        given = {**flags, "http": self.http}
        command = image.command(*(f"--{flag}={value}" for flag, value in given.items()))
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={}
            )
        self._await_ready()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)

    def user(self) -> tuple[int, int]:
        """The user and group that it runs as."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        fields: dict[str, Any] = dict(line.split(":", 1) for line in status.splitlines())
        return int(fields["Uid"].split()[0]), int(fields["Gid"].split()[0])

    def _await_ready(self) -> None:
        end = time.monotonic() + DEADLINE
        while True:
            said = self._readyz()
            if said is None:
                return
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"not ready: {said}: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def _readyz(self) -> str | None:
        """None, or what it waits for."""
        try:
            urllib.request.urlopen(f"http://{self.http}/readyz", timeout=5).close()
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError as error:
            return str(error)
        return None
