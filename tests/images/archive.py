"""What is in a docker-archive."""

import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class File:
    """What an image has under a path: the permission bits, and of a link where it leads."""

    type: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    digest: str


class Archive:
    """An image as `cargo xtask images`, docker and buildah save it."""

    def __init__(self, path: Path):
        self.path = path
        with tarfile.open(path) as archive:
            self.manifest = json.load(_member(archive, "manifest.json"))[0]
            self.config = json.load(_member(archive, self.manifest["Config"]))

    def files(self) -> dict[str, File]:
        """All that its layers have, the later ones over the earlier, by path."""
        found: dict[str, File] = {}
        with tarfile.open(self.path) as archive:
            for layer in self.manifest["Layers"]:
                with tarfile.open(fileobj=_member(archive, layer)) as files:
                    found |= {entry.name: _file(files, entry) for entry in files}
        return found

    def unpack(self, folder: Path) -> None:
        """Unpacks its files; owners are not kept."""
        with tarfile.open(self.path) as archive:
            for layer in self.manifest["Layers"]:
                with tarfile.open(fileobj=_member(archive, layer)) as files:
                    files.extractall(folder, filter="tar")


def _file(files: tarfile.TarFile, entry: tarfile.TarInfo) -> File:
    content = files.extractfile(entry) if entry.isreg() else None
    digest = hashlib.file_digest(content, "sha256").hexdigest() if content else ""
    # Some write the file's type into the mode, too.
    mode = entry.mode & 0o7777
    return File(entry.type, mode, (entry.uid, entry.gid), entry.linkname, digest)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    content = archive.extractfile(name)
    assert content is not None, f"{name} is no file"
    return content
