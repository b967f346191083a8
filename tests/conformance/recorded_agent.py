"""The Rust agent whose containers answer as the recorded ones did: the program `huly-test-agent`."""

from pathlib import Path
from typing import Any

from programs import BIN, Agent


class RecordedAgent(Agent):
    """Kinds chat-room and room: they count what they are asked.

    `fail` fails, `say` broadcasts, `wait` is answered at the next `go`, `end` ends the container.
    """

    def __init__(self, network: Any, folder: Path, name: str, **flags: Any):
        super().__init__(network, folder, name, **flags)
        self.command[0] = str(BIN / "huly-test-agent")
