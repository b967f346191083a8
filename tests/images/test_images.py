"""What is in the images runs with nothing else around it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image import ARCHIVES, ROOT, Image, Process, free_port
from names import NameServer

PORTS = {
    "huly-network": {"3737/tcp", "9090/tcp"},
    "huly-agent": {"3738/tcp", "9091/tcp"},
    "huly-operator": {"9092/tcp"},
    "huly": set(),
    "own-agent": {"3738/tcp", "9091/tcp"},
}

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts programs of images; at the end all leave in order."""
    started: list[Process] = []

    def begin(image: Image, **flags: str) -> Process:
        process = Process(image, tmp_path / f"{image.name}.log", **flags)
        started.append(process)
        return process

    yield begin
    try:
        assert [process.terminate() for process in reversed(started)] == [0] * len(started)
    finally:
        for process in started:
            process.kill()


@pytest.mark.parametrize("name", PORTS)
def test_an_image_is_one_program_that_its_user_may_run(name: str, tmp_path: Path) -> None:
    image = Image(name, tmp_path)
    assert set(image.files) == {name}
    file = image.files[name]
    assert (file.mode, file.owner) == (0o755, (0, 0))
    config = image.config["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == [f"/{name}"]
    assert set(config["ExposedPorts"]) == PORTS[name]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == name
    assert labels["org.opencontainers.image.licenses"] == "EPL-2.0"
    version = labels["org.opencontainers.image.version"]
    assert image.manifest["RepoTags"] == [f"{name}:{version}"]
    assert version in image.run("--version")
    assert (ARCHIVES / f"{name}.tar").stat().st_size <= 25_000_000


@pytest.mark.parametrize(
    ("agent", "kind", "operation", "data", "answer"),
    [
        ("own-agent", "greeter", "greet", {"name": "Ada"}, {"greeting": "Hello, Ada!"}),
        ("huly-agent", "counter", "increment", {"by": 2}, {"value": 2}),
    ],
)
def test_a_network_of_images_serves(
    agent: str,
    kind: str,
    operation: str,
    data: object,
    answer: object,
    start: Start,
    tmp_path: Path,
) -> None:
    address = f"127.0.0.1:{free_port()}"
    server = start(Image("huly-network", tmp_path), listen=address)
    hosting = start(Image(agent, tmp_path), network=address, listen="127.0.0.1:0")
    if ROOT:
        assert server.user() == hosting.user() == (65532, 65532)
    cli, network = Image("huly", tmp_path), f"--network={address}"
    with cli.begin(network, "get", kind, "--uuid=one", "--hold") as holder:
        try:
            # Once it says where the container lives, it holds it.
            assert holder.stdout.readline()
            said = cli.run(network, "request", "one", operation, json.dumps(data))
        finally:
            holder.kill()
    assert json.loads(said) == answer


@pytest.mark.skipif(not ROOT, reason="a name server on port 53 and a root of its own take root")
@pytest.mark.parametrize(
    "name",
    ["huly-network", "huly-network.demo.svc", "huly-network.demo.svc.cluster.local."],
)
def test_the_names_of_services_are_found(name: str, start: Start, tmp_path: Path) -> None:
    """With the resolv.conf that a kubelet writes: a search list, and names of few dots below it."""
    whole = "huly-network.demo.svc.cluster.local"
    port = free_port()
    start(Image("huly-network", tmp_path), listen=f"127.0.0.1:{port}")
    agent, cli = Image("huly-agent", tmp_path), Image("huly", tmp_path)
    with NameServer(whole, "127.0.0.1") as names:
        for image in (agent, cli):
            (image.root / "etc/resolv.conf").write_text(
                f"search demo.svc.cluster.local svc.cluster.local cluster.local\n"
                f"nameserver {names.host}\noptions ndots:5\n"
            )
        start(agent, network=f"{name}:{port}", listen="127.0.0.1:0", advertise="127.0.0.1:1")
        said = cli.run(f"--network={name}:{port}", "agents", "--output=json")
        assert len(json.loads(said)) == 1
        assert whole in names.asked
