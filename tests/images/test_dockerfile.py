"""Dockerfiles give what `cargo xtask images` gives, from the same programs."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archive import Archive
from buildah import Buildah
from image import ARCHIVES

# What `cargo xtask images` has packed.
PROGRAMS = Path(os.environ["HULY_PROGRAMS"])

SOURCE = Path(__file__).parents[2]

DOCKERFILE = SOURCE / "images/Dockerfile"

LABEL = "org.opencontainers.image"


@pytest.fixture(scope="module")
def buildah() -> Iterator[Buildah]:
    # Copies of all programs are in it, too large to be kept as pytest keeps folders.
    with tempfile.TemporaryDirectory() as folder:
        yield Buildah(Path(folder))


def settings(archive: Archive) -> dict[str, Any]:
    """How its containers are started and what is said of it, but for who built it and when."""
    config = archive.config["config"]
    labels = {name: said for name, said in config["Labels"].items() if name != "io.buildah.version"}
    platform = {name: archive.config[name] for name in ("architecture", "os")}
    # None are as good as no member.
    return {"ExposedPorts": {}} | config | platform | {"Labels": labels}


@pytest.mark.parametrize("name", re.findall(r"(?m)^FROM base AS (\S+)$", DOCKERFILE.read_text()))
def test_a_stage_of_the_dockerfile_is_the_image(name: str, buildah: Buildah) -> None:
    packed = Archive(ARCHIVES / f"{name}.tar")
    said = packed.config["config"]["Labels"]
    built = buildah.build(
        *packed.manifest["RepoTags"],
        DOCKERFILE,
        PROGRAMS,
        f"--target={name}",
        f"--build-arg=VERSION={said[f'{LABEL}.version']}",
        f"--build-arg=REVISION={said[f'{LABEL}.revision']}",
    )
    assert settings(built) == settings(packed)
    assert built.files() == packed.files()


def test_the_dockerfile_has_a_stage_for_each_image_of_the_network() -> None:
    stages = set(re.findall(r"(?m)^FROM base AS (\S+)$", DOCKERFILE.read_text()))
    packed = {archive.stem for archive in ARCHIVES.glob("*.tar")}
    assert stages == packed - {"own-agent"}


def test_the_dockerfile_of_an_own_agent_makes_its_image(buildah: Buildah, tmp_path: Path) -> None:
    """The one that docs/images.md shows: it says nothing of the image, but starts the same."""
    (shown,) = re.findall(r"(?s)```dockerfile\n(.*?)```", (SOURCE / "docs/images.md").read_text())
    (program,) = re.findall(r"(?m)^COPY (\S+) ", shown)
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(shown)
    (tmp_path / program).parent.mkdir(parents=True)
    shutil.copy(PROGRAMS / "own-agent", tmp_path / program)
    built = buildah.build("own-agent:shown", dockerfile, tmp_path)
    packed = Archive(ARCHIVES / "own-agent.tar")
    for member in ("Entrypoint", "User"):
        assert built.config["config"][member] == packed.config["config"][member]
    assert built.files() == packed.files()
