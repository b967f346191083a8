"""A TCP connection that a test can cut, stall, or take bytes out of, between a peer and a program."""

import socket
import threading
from contextlib import suppress

from programs import free_port

UP, DOWN = "up", "down"
"""Directions: from the peer to the program, and back."""

BOTH = (UP, DOWN)


class Link:
    """One connection of a peer, and the relay's own to the program, each way on a thread."""

    def __init__(self, relay: "Relay", peer: socket.socket, program: socket.socket):
        self.relay = relay
        self.ends = {UP: (peer, program), DOWN: (program, peer)}
        self.threads = [
            threading.Thread(target=self._carry, args=(way,), daemon=True) for way in BOTH
        ]
        for thread in self.threads:
            thread.start()

    def cut(self, program_sees_it: bool = True) -> None:
        """Ends it for the peer, and for the program if that sees it; it keeps its half otherwise."""
        peer, program = self.ends[UP]
        for end in (peer, program) if program_sees_it else (peer,):
            with suppress(OSError):  # The other end may have closed it already.
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self.threads:
            thread.join()
        for end in self.ends[UP]:
            end.close()

    def _carry(self, way: str) -> None:
        source, sink = self.ends[way]
        with suppress(OSError):
            while data := source.recv(65536):
                if self.relay.take(self, way, data):
                    sink.sendall(data)
        self.relay.ended(self, way)


class Relay:
    """Listens on a port of its own and carries each connection to `target` (`HOST:PORT`)."""

    def __init__(self, target: str):
        host, port = target.split(":")
        self.target = (host, int(port))
        self.host = f"127.0.0.1:{free_port()}"
        self.address = f"tcp://{self.host}"
        self.lost = {UP: bytearray(), DOWN: bytearray()}
        """The bytes that never arrived, by direction."""
        self.accepted = 0
        self._links: list[Link] = []
        self._old: list[Link] = []
        self._losing: set[str] = set()
        self._stalled: set[str] = set()
        self._changed = threading.Condition()
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self.open()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        self.bury()

    # What a test does to the connections.

    def open(self) -> None:
        """Takes new connections (from the start on)."""
        host, port = self.host.split(":")
        self._listener = socket.create_server((host, int(port)), backlog=64)
        self._accepting = threading.Thread(
            target=self._accept, args=(self._listener,), daemon=True
        )
        self._accepting.start()

    def shut(self) -> None:
        """Cuts all and refuses new ones until `open`."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.cut()

    def cut(self, program_sees_it: bool = True) -> None:
        """Cuts what is connected. What was stalled or about to be lost is lost; later bytes flow."""
        with self._changed:
            links, self._links = self._links, []
            self._old += links
            self._losing.clear()
            self._stalled.clear()
            self._changed.notify_all()
        for link in links:
            link.cut(program_sees_it)

    def bury(self) -> None:
        """Ends what is left of the connections that were cut: the program sees it now."""
        old, self._old = self._old, []
        for link in old:
            link.close()

    def lose(self, *ways: str) -> None:
        """From now on bytes of these directions vanish, until the next cut."""
        with self._changed:
            self._losing |= set(ways)

    def stall(self, *ways: str) -> None:
        """From now on bytes of these directions wait, for `flow` or a cut."""
        with self._changed:
            self._stalled |= set(ways)

    def flow(self) -> None:
        with self._changed:
            self._stalled.clear()
            self._changed.notify_all()

    def has_lost(self, way: str, text: str) -> bool:
        with self._changed:
            return text.encode() in self.lost[way]

    # The threads of the links.

    def take(self, link: Link, way: str, data: bytes) -> bool:
        """Whether the bytes go on: waits while they are stalled."""
        with self._changed:
            self._changed.wait_for(lambda: link not in self._links or way not in self._stalled)
            lost = link not in self._links or way in self._losing
            if lost:
                self.lost[way] += data
            return not lost

    def ended(self, link: Link, way: str) -> None:
        """One side closed its end: so does the relay, unless the test cut the link as it wished."""
        with self._changed:
            if link not in self._links:
                return
            self._links.remove(link)
            self._old.append(link)
            self._changed.notify_all()
        link.cut()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # That is how `shut` ends it.
            while True:
                peer, _ = listener.accept()
                try:
                    program = socket.create_connection(self.target, timeout=5)
                except OSError:
                    peer.close()
                    continue
                program.settimeout(None)
                # What a stalled one takes of the program is little, and the same everywhere.
                program.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                for end in (peer, program):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._changed:
                    self.accepted += 1
                    link = Link(self, peer, program)
                    self._links.append(link)
