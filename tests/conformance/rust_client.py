"""A Rust client, the program `huly-test-client`, as a test steers it: each command has a future."""

import json
import os
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from programs import BIN
from wire import DEADLINE


class RustError(Exception):
    """An error of the client library: its kind, whether it may be tried again, its text."""

    def __init__(self, error: dict[str, Any]):
        super().__init__(f"{error['kind']}: {error['message']}")
        self.kind = error["kind"]
        self.message = error["message"]
        self.retryable = error["retryable"]


class RustClient:
    """A client of the network server at `host`, `host:port`."""

    def __init__(self, host: str, log: Path):
        self.events: dict[str, list[Any]] = {}
        """By the name of a container, the events of its direct connection."""
        self.updates: list[dict[str, Any]] = []
        self._answers: dict[int, Future] = {}
        clean = {key: value for key, value in os.environ.items() if "HULY" not in key}
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [str(BIN / "huly-test-client"), host],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=clean,
                text=True,
            )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "RustClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends the process without a word to the server."""
        self.process.kill()
        self.process.wait(DEADLINE)
        self._thread.join()
        self.process.stdin.close()
        self.process.stdout.close()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def start(self, command: str, **arguments: Any) -> Future:
        """Gives a command; the future has what came of it."""
        id = len(self._answers)
        future: Future = Future()
        self._answers[id] = future
        what = {command: arguments} if arguments else command
        self.process.stdin.write(json.dumps({"id": id, "command": what}) + "\n")
        self.process.stdin.flush()
        return future

    def do(self, command: str, within: float = DEADLINE, **arguments: Any) -> Any:
        return self.start(command, **arguments).result(within)

    def get(self, kind: str, uuid: str | None = None, **more: Any) -> dict[str, Any]:
        """Gets and holds; what holds it is named as its uuid, or `more["name"]`."""
        name = more.pop("name", uuid)
        return self.do("get", name=name, kind=kind, uuid=uuid, **more)

    def ask(self, name: str, operation: str, data: Any = None, **more: Any) -> Future:
        """Asks a container that it holds, through the network."""
        ask = {"operation": operation, "data": data, **more}
        return self.start("request", name=name, ask=ask)

    def request(self, name: str, operation: str, data: Any = None, **more: Any) -> Any:
        return self.ask(name, operation, data, **more).result(DEADLINE)

    def request_direct(self, name: str, operation: str, data: Any = None, **more: Any) -> Any:
        ask = {"operation": operation, "data": data, **more}
        return self.do("requestDirect", name=name, ask=ask)

    def look(self, name: str) -> dict[str, Any]:
        return self.do("look", name=name)

    def _read(self) -> None:
        for line in self.process.stdout:
            said = json.loads(line)
            if event := said.get("event"):
                self.events.setdefault(event["name"], []).append(event["data"])
            elif update := said.get("update"):
                self.updates.append(update)
            elif error := said.get("error"):
                self._answers[said["id"]].set_exception(RustError(error))
            else:
                self._answers[said["id"]].set_result(said["ok"])
