"""An agent that answers only when a test says so, and what a test says."""

from typing import Any

from raw import Raw
from wire import ERROR, NO_CONNECTION, REQUEST, RESPONSE, Frame, fresh, text


class RawAgent:
    """Served by a raw peer that has said hello; one peer may serve several."""

    def __init__(self, raw: Raw, kinds: list[str], huly: dict[str, Any] | None = None):
        self.raw = raw
        self.id = fresh("agent")
        self.kinds = kinds
        self.huly = huly

    def endpoint(self, uuid: str | None = None, **more: Any) -> str:
        """Without a ROUTER; `more` makes it another one."""
        endpoint = {"kind": NO_CONNECTION, "host": "", "port": 0, "agentId": self.id}
        return text({**endpoint, **({"uuid": uuid} if uuid else {}), **more})

    def record(self, uuid: str, kind: str | None = None, **more: Any) -> dict[str, Any]:
        return {
            "agentId": self.id,
            "uuid": uuid,
            "kind": kind or self.kinds[0],
            "endpoint": self.endpoint(uuid),
            "lastVisit": 0,
            **more,
        }

    def registration(self, *containers: dict[str, Any], **more: Any) -> dict[str, Any]:
        huly = {"huly": self.huly} if self.huly else {}
        return {
            "uuid": self.id,
            "containers": list(containers),
            "kinds": self.kinds,
            "endpoint": None,
            **huly,
            **more,
        }

    def register(self, *containers: dict[str, Any], **more: Any) -> list[str]:
        return self.raw.call("ar", self.registration(*containers, **more))

    def called(self, method: str) -> tuple[Frame, Any]:
        """The next call back of that method to this agent: its frame and its params."""

        def wanted(frame: Frame) -> bool:
            if frame.op != REQUEST:
                return False
            called, params = frame.json()
            return called == method and params[0] == self.id

        frame = next(filter(wanted, self.raw.seen), None)
        if frame:
            self.raw.seen.remove(frame)
        else:
            frame = self.raw.expect(f"a call of {method}", wanted)
        return frame, frame.json()[1][1]

    def not_called(self, method: str) -> None:
        """What was sent before the pong has come: no such call is among it."""
        self.raw.round_trip()
        calls = [each.json()[0] for each in self.raw.seen if each.op == REQUEST]
        assert method not in calls

    def answer(self, call: Frame, value: Any) -> None:
        self.raw.send(RESPONSE, call.id, text(value))

    def fail(self, call: Frame, message: str) -> None:
        self.raw.send(ERROR, call.id, text({"message": message, "stack": "Error"}))

    def start(self, uuid: str | None = None) -> str:
        """Answers the next get as if it had started the container; returns its uuid."""
        call, [kind, request] = self.called("gg")
        made = uuid or request.get("uuid") or fresh(kind)
        self.answer(call, [made, self.endpoint(made)])
        return made
