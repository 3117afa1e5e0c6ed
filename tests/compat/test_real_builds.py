"""Real Dockerfiles of real programs: the same files and configuration as under dockerd's builders.

Both engines build on the very same base images, so that what apt did once is no difference.
"""

from __future__ import annotations

import json
import re
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from moorage.spec.oci.image import EMPTY_LAYER_DIFF_ID
from support import needs, peers, trees
from support.cli import Cli
from support.programs import BASE, TIMEOUT_S, Programs, image_id, image_of
from support.trees import Member

pytestmark = [
    pytest.mark.requires("root", "overlayfs", "docker", "dockerd", "mmdebstrap"),
    pytest.mark.timeout(600),
]
PROGRAMS: Final = ("nginx", "redis", "python", "c", "node")
BUILDERS: Final = ("buildkit", "classic")


class Peer:
    """dockerd with the same base images."""

    def __init__(self, client: Cli, real: Programs) -> None:
        self.client = client
        self._home = Path(client.environment["HOME"])
        archive = self._home / "bases.tar"
        real.moor("save", "-o", archive, BASE, real.tools(), timeout=TIMEOUT_S)
        client("load", "-i", archive, timeout=TIMEOUT_S)
        archive.unlink()
        assert image_id(client, BASE) == image_id(real.docker, BASE)

    def build(self, builder: str, program: str, real: Programs) -> str:
        """Build with one of its builders; return the image's name."""
        name = f"{builder}-{image_of(program)}"
        client = Cli(needs.buildkit_client() or "docker", Path(), self._home)
        client.environment |= self.client.environment
        client.environment["DOCKER_BUILDKIT"] = str(int(builder == "buildkit"))
        arguments = real.arguments(program)[:-1]
        client("build", *arguments, name, real.context(program), timeout=TIMEOUT_S)
        return name

    def config(self, image: str) -> dict[str, Any]:
        """Return the configuration of an image as it is stored."""
        store = self._home / "d/image/overlay2/imagedb/content/sha256"
        found: dict[str, Any] = json.loads(
            (store / image_id(self.client, image).removeprefix("sha256:")).read_bytes()
        )
        return found


@pytest.fixture(scope="module")
def peer(real: Programs) -> Iterator[Peer]:
    with peers.dockerd("overlay2") as client:
        yield Peer(client, real)


# Where dockerd's builders make the files that they mount over (hosts, resolv.conf …) and take them
# away again: their layers keep that as a new time of the directory.
TOUCHED: Final = frozenset({"etc"})


def same_files(
    found: dict[str, Member], wanted: dict[str, Member], started_s: int, builder: str
) -> None:
    """Compare two trees; what was written since the start of the builds has any time since."""
    assert set(found) == set(wanted), builder
    for name, member in wanted.items():
        latest_s = 0 if name in TOUCHED else started_s
        theirs, ours = (
            one._replace(mtime=min(one.mtime, latest_s)) for one in (found[name], member)
        )
        if builder == "buildkit" and stat.S_ISDIR(ours.kind) and theirs.mtime == started_s:
            # old ones lose the times of directories on the way from the client
            ours = ours._replace(mtime=started_s)
        assert theirs == ours, (builder, name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_image_as_under_dockerds_builders(
    real: Programs, peer: Peer, tmp_path: Path, program: str
) -> None:
    real.context(program)  # made before three clients send it at once
    started_s = int(time.time())
    builders = [b for b in BUILDERS if b == "classic" or needs.is_met("buildkit")]
    with ThreadPoolExecutor() as pool:
        others = {b: pool.submit(peer.build, b, program, real) for b in builders}
        ours = pool.submit(real.image, program).result()
        built = {builder: other.result() for builder, other in others.items()}
    with trees.mounted(real.docker, ours, tmp_path / "root") as root:
        wanted = trees.members(root)
    for builder, image in built.items():
        with trees.mounted(peer.client, image, tmp_path / "root") as root:
            same_files(trees.members(root), wanted, started_s, builder)
        compare = {"classic": as_classic, "buildkit": as_buildkit}[builder]
        assert compare(real.config(ours)) == compare(peer.config(image)), builder


def as_buildkit(config: dict[str, Any]) -> dict[str, Any]:
    """Take out of a configuration what BuildKits of different age say in different words."""
    found = common(config)
    found["history"] = [{**entry, "created_by": text_of(entry)} for entry in found["history"]]
    return found


def text_of(entry: dict[str, Any]) -> str:
    """Return an entry's text as the oldest and the newest BuildKit would write it."""
    text: str = entry.get("created_by", "")
    text = re.sub(r"^(COPY|ADD)( --(chown|chmod|link)\S*)+", r"\1", text)  # new since 0.11
    text = re.sub(r"^EXPOSE map\[(.*)]$", lambda found: f"EXPOSE [{found[1]}]", text)
    text = text.replace(":{}", "") if text.startswith("EXPOSE") else text
    return re.sub(r"^HEALTHCHECK .*", "HEALTHCHECK", text)  # a Go structure, printed in other ways


def as_classic(config: dict[str, Any]) -> dict[str, Any]:
    """Take out of a configuration what only one of BuildKit and the classic builder writes."""
    found = common(config)
    for name in ("container", "container_config", "docker_version"):  # of the step's container
        found.pop(name, None)
    # the image before the last step; a mark for Windows that BuildKit sets beside every Cmd; the
    # directory that is meant where none is given
    unlike = {"Image", "ArgsEscaped", *(["WorkingDir"] if in_root(config) else [])}
    found["config"] = {
        name: value for name, value in found["config"].items() if value and name not in unlike
    }
    # the texts are the classic builder's own; what made a layer is not
    found["history"] = [entry["empty_layer"] for entry in found["history"]]
    return found


def in_root(config: dict[str, Any]) -> bool:
    return config["config"].get("WorkingDir") in {None, "", "/"}


def common(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without times and what follows from them: digests of layers."""
    found = {**config, "history": []}
    del found["created"], found["rootfs"]
    digests = iter(config["rootfs"]["diff_ids"])
    for entry in config["history"]:
        # BuildKit keeps a layer with nothing in it where the others say that there is none
        empty = entry.get("empty_layer", False) or next(digests) == EMPTY_LAYER_DIFF_ID
        kept = {name: value for name, value in entry.items() if name not in {"created", "author"}}
        found["history"].append({**kept, "empty_layer": empty})
    assert not list(digests)
    run = config["config"].items()
    found["config"] = {name: value for name, value in run if value is not None}  # Go's nil
    return found
