"""The client of peers.py as a program: `run_ts_client.py HOST:PORT KIND UUID OPERATION JSON`.

Gets the container, asks it through the network and at where it listens, closes, and prints what it
got: `{"endpoint", "routed", "direct"}`.
"""

import json
import sys

from peers import TypeScriptClient


def main(address: str, kind: str, uuid: str, operation: str, data: str) -> None:
    asked = json.loads(data)
    with TypeScriptClient(f"tcp://{address}") as client:
        got, endpoint = client.get(kind, {"uuid": uuid})
        assert got == uuid
        routed = client.request(uuid, operation, asked)
        at = json.loads(endpoint)
        with TypeScriptClient(f"tcp://{at['host']}:{at['port']}", of="agent") as there:
            direct = there.request(uuid, operation, asked)
    assert not client.violations + there.violations
    print(json.dumps({"endpoint": endpoint, "routed": routed, "direct": direct}))


if __name__ == "__main__":
    main(*sys.argv[1:])
