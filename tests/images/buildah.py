"""buildah, with all that it keeps in a folder of the test's own."""

import subprocess
from pathlib import Path

from archive import Archive


class Buildah:
    """Builds images FROM scratch: it pulls nothing, and starts nothing."""

    def __init__(self, folder: Path):
        self.folder = folder

    def build(self, reference: str, dockerfile: Path, context: Path, *arguments: str) -> Archive:
        """Builds an image and saves it; `arguments` are flags more."""
        # With chroot isolation it needs no container runtime, and with vfs no overlay mounts.
        self._run(
            "build",
            "--isolation=chroot",
            "--pull-never",
            f"--file={dockerfile}",
            f"--tag={reference}",
            *arguments,
            str(context),
        )
        saved = self.folder / f"{reference.replace(':', '-')}.tar"
        self._run("push", reference, f"docker-archive:{saved}:{reference}")
        return Archive(saved)

    def _run(self, command: str, *arguments: str) -> None:
        done = subprocess.run(
            [
                "buildah",
                f"--root={self.folder / 'root'}",
                f"--runroot={self.folder / 'run'}",
                "--storage-driver=vfs",
                command,
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"buildah {command} {arguments}: {done.stdout}{done.stderr}"
