"""Those who listen in the recorded transcripts: they answer what a test says, when it says it."""

from concurrent.futures import Future
from typing import Any

from ts_listener import Known, Listener
from wire import eventually


class RecordedServer(Listener):
    """A network server."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, Future]] = []
        """Requests without an answer: client, method, params and the answer to be."""
        super().__init__()

    def answer(self, client: Known, method: str, params: Any) -> Future:
        answer: Future = Future()
        self.asked.append((client.id, method, params, answer))
        return answer

    def forget(self) -> None:
        self.asked.clear()

    def await_request(self, client: str, method: str) -> tuple[Any, Future]:
        """The first request of that method that is not answered."""

        def found() -> tuple[Any, Future] | None:
            for index, (asking, name, params, answer) in enumerate(self.asked):
                if (asking, name) == (client, method):
                    del self.asked[index]
                    return params, answer
            return None

        return eventually(f"{method} is asked", found)


class RecordedRouter(RecordedServer):
    """The ROUTER of an agent."""

    of = "agent"
