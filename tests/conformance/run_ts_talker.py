"""The client of peers.py as one who talks: `run_ts_talker.py HOST:PORT KIND UUID`.

Gets the room and says in it the numbers from 1, one after the other, without waiting for answers. It
prints a line once the first is answered; when its input ends it waits for all other answers, asks
the room what it remembers, and prints `{"answered", "remembered"}`: places by number, and pairs
of place and number.
"""

import json
import sys
import threading

from peers import TypeScriptClient

PACE = 0.25
"""Seconds between two messages."""

PATIENCE = 60
"""Seconds that the last answers may take."""


def main(address: str, kind: str, room: str) -> None:
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    with TypeScriptClient(f"tcp://{address}") as client:
        client.get(kind, {"uuid": room})
        said = []
        while not said or not stop.wait(PACE):
            message = {"text": str(len(said) + 1)}
            said.append(client.start("cs", [room, "say", message]))
            if len(said) == 1:
                said[0].result(PATIENCE)
                print("talks", flush=True)
                threading.Thread(target=wait, daemon=True).start()
        answered = [one.result(PATIENCE)["id"] for one in said]
        history = client.request(room, "history")
        client.release(room)
    assert not client.violations, client.violations
    remembered = [[message["id"], int(message["text"])] for message in history]
    print(json.dumps({"answered": answered, "remembered": remembered}))


if __name__ == "__main__":
    main(*sys.argv[1:])
