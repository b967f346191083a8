"""The agent of ts_agent.py as a program: `run_ts_agent.py HOST:PORT [--router] KIND…`.

Prints its id once it is registered, and goes on until its input ends.
"""

import sys

from ts_agent import TypeScriptAgent


def main(address: str, *arguments: str) -> None:
    router = "--router" in arguments
    kinds = [argument for argument in arguments if argument != "--router"]
    with TypeScriptAgent(kinds, router=router) as agent:
        agent.serve_at(f"tcp://{address}")
        print(agent.id, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
