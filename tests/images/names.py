"""A name server that knows one name, as a cluster's knows its Services."""

import random
import socket
import struct
import threading

FOUND, UNKNOWN = 0, 3
TYPE_A, CLASS_IN = 1, 1


class NameServer:
    """Listens on port 53 of a loopback address of its own, which takes root."""

    def __init__(self, name: str, address: str):
        self.name, self.address = name, address
        self.asked: set[str] = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.host = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.53"
        self.socket.bind((self.host, 53))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def __enter__(self) -> "NameServer":
        return self

    def __exit__(self, *_: object) -> None:
        # A datagram of no bytes ends it.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", (self.host, 53))
        self.thread.join()
        self.socket.close()

    def _serve(self) -> None:
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question:
                return
            self.socket.sendto(self._answer(question), peer)

    def _answer(self, message: bytes) -> bytes:
        labels, at = [], 12
        while length := message[at]:
            labels.append(message[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = message[12 : at + 5]
        (kind,) = struct.unpack("!H", message[at + 1 : at + 3])
        asked = ".".join(labels)
        self.asked.add(asked)
        code = FOUND if asked == self.name else UNKNOWN
        answers = b""
        # A name that has no address of a type is there all the same: no answer, no error.
        if code == FOUND and kind == TYPE_A:
            pointer_to_question = 0xC00C
            answers = struct.pack("!HHHIH", pointer_to_question, TYPE_A, CLASS_IN, 5, 4)
            answers += socket.inet_aton(self.address)
        flags = 0x8180 | code
        head = message[:2] + struct.pack("!HHHHH", flags, 1, bool(answers), 0, 0)
        return head + question + answers
