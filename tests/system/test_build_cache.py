"""The build cache: what hits, what misses, what survives, what goes, and how it travels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import images
from support.builds import Project
from support.cli import Cli
from support.daemon import BIN, Daemon
from support.registry import FakeRegistry

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def project(moor: Cli, tmp_path: Path) -> Iterator[Project]:
    yield Project(moor, tmp_path)
    moor("builder", "prune", "-af")


def cached(said: str) -> int:
    return said.count("CACHED\n")


def test_files_count_by_content_and_mode_not_by_time(project: Project) -> None:
    project.write(a="A", unused="1")
    text = "FROM busybox\nCOPY a /a\nRUN echo step\n"
    assert cached(project.run(text).ok().err) == 0
    os.utime(project.root / "a", (1, 1))
    project.write(unused="2")
    assert cached(project.run(text).ok().err) == 2
    (project.root / "a").chmod(0o600)
    assert cached(project.run(text).ok().err) == 0
    project.write(a="B")
    (project.root / "a").chmod(0o600)
    assert cached(project.run(text).ok().err) == 0


def test_arguments_count_where_they_are_seen(project: Project) -> None:
    text = "FROM busybox\nRUN echo before\nARG A\nRUN echo $A\n"
    project.run(text, "--build-arg", "A=1").ok()
    assert cached(project.run(text, "--build-arg", "A=1").ok().err) == 2
    assert cached(project.run(text, "--build-arg", "A=2").ok().err) == 1
    assert cached(project.run(text, "--build-arg", "HTTP_PROXY=x", "--build-arg", "A=1").err) == 2


def test_no_cache_for_all_or_for_one_stage(project: Project) -> None:
    text = "FROM busybox AS a\nRUN echo a > /a\nFROM busybox AS b\nRUN echo b > /b\n"
    text += "COPY --from=a /a /c\n"
    project.run(text).ok()
    assert cached(project.run(text).ok().err) == 3
    assert cached(project.run(text, "--no-cache").ok().err) == 0
    assert cached(project.run(text, "--no-cache-filter", "b").ok().err) == 1


def test_equal_files_of_another_stage_hit(project: Project) -> None:
    text = "FROM busybox AS a\nRUN echo {} > /noise && echo same > /f && touch -d @1 /f\n"
    text += "FROM busybox\nCOPY --from=a /f /f\nRUN echo after\n"
    project.run(text.format(1)).ok()
    assert cached(project.run(text.format(2)).ok().err) == 2


def test_steps_of_builds_that_run_together_are_done_once(project: Project, moor: Cli) -> None:
    project.write(Dockerfile="FROM busybox\nRUN sleep 1; cat /proc/sys/kernel/random/uuid > /u\n")
    running = [moor.start("build", "-q", "--network=none", project.root) for _ in range(3)]
    ids = set()
    for process in running:
        with process:
            out, err = process.communicate(timeout=30)
            assert process.returncode == 0, err
            ids.add(
                json.loads(moor("image", "inspect", out.decode().strip()))[0]["RootFS"]["Layers"][
                    -1
                ]
            )
    assert len(ids) == 1


def test_the_cache_survives_a_restart_and_kill(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    project = Project(Cli(str(BIN / "moor"), daemon.socket, tmp_path), tmp_path)
    text = "FROM busybox\nRUN echo one > /1\nRUN echo two > /2\n"
    project.run(text).ok()
    daemon.restart(kill=True)
    assert cached(project.run(text).ok().err) == 2


def test_prune_and_df_add_up(project: Project, moor: Cli) -> None:
    text = "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null\nRUN echo {}\n"
    image = project.image(text.format(1))
    df: Any = json.loads(moor("system", "df", "--format", "json").splitlines()[-1])
    assert df["Type"] == "Build Cache"
    assert "shared" not in moor("builder", "prune", "-f")  # shared with an image: stays
    project.remove(image)
    listed = moor("builder", "df")
    assert "3.146MB" in listed
    assert "RUN dd if=" in listed
    kept = moor("builder", "prune", "-f", "--keep-storage", "10MB")
    assert "Total:\t0B" in kept or "0B" in kept
    freed = moor("builder", "prune", "-af", "--filter", "type=regular")
    assert "3.146MB" in freed
    assert "RUN dd" not in moor("builder", "df")


def test_rules_of_the_configuration_are_kept_after_each_build(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    rules = [
        {"filter": ["unused-for=1000h"]},  # nothing is that old
        {"keepStorage": "5MB", "filter": ["type=regular"]},
    ]
    daemon = make_daemon(config={"builder": {"gc": {"policy": rules}}}).start()
    daemon.load(images.busybox())
    project = Project(Cli(str(BIN / "moor"), daemon.socket, tmp_path), tmp_path)

    def build(name: str) -> list[str]:
        """Build a step of 3 MB; return which such steps the cache has then."""
        step = f"dd if=/dev/zero of=/{name} bs=1M count=3"
        project.remove(project.image(f"FROM busybox\nRUN {step}\n"))
        project.run("FROM busybox\nRUN true\n").ok()  # ends with no image that shares the step
        usage = daemon.api.get("/system/df", type="build-cache", verbose=True).ok().json()
        records = usage["BuildCacheUsage"]["Items"]
        return [n for n in "abc" if any(f"of=/{n} " in r["Description"] for r in records)]

    assert build("a") == ["a"]
    assert build("b") == ["b"]
    daemon.configure({"builder": {"gc": {"enabled": False, "policy": rules}}})
    daemon.restart()
    assert build("c") == ["b", "c"]


def test_cache_to_and_from_a_directory(
    make_daemon: Callable[..., Daemon], project: Project, tmp_path: Path
) -> None:
    text = "FROM busybox AS a\nRUN echo a > /a\nFROM busybox\nCOPY --from=a /a /\nRUN echo b > /b\n"
    where = tmp_path / "cache"
    project.run(text, "--cache-to", f"type=local,dest={where},mode=max").ok()
    assert (where / "index.json").exists()
    other = make_daemon().start()
    other.load(images.busybox())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = Project(Cli(str(BIN / "moor"), other.socket, elsewhere), elsewhere)
    said = second.run(text, "--cache-from", f"type=local,src={where}").ok().err
    assert cached(said) == 3
    assert cached(second.run(text).ok().err) == 3  # it is here now


def test_cache_inline_and_in_a_registry(
    make_daemon: Callable[..., Daemon], project: Project, tmp_path: Path
) -> None:
    text = "FROM busybox\nRUN echo a > /a\nRUN echo b > /b\n"
    with FakeRegistry() as registry:
        name = f"{registry.host}/app"
        project.run(text, *("-t", f"{name}:1", "--push", "--cache-to", "type=inline")).ok()
        project.run(text, *("--cache-to", f"type=registry,ref={name}:cache")).ok()
        for ref in (f"{name}:1", f"{name}:cache"):
            other = make_daemon().start()
            other.load(images.busybox())
            elsewhere = tmp_path / ref.rpartition(":")[2]
            elsewhere.mkdir()
            second = Project(Cli(str(BIN / "moor"), other.socket, elsewhere), elsewhere)
            said = second.run(text, "--cache-from", ref).ok().err
            assert cached(said) == 2, said
    project.remove(f"{name}:1")


def test_a_cache_that_cannot_be_read_is_told_and_left_out(project: Project) -> None:
    said = project.run("FROM busybox\nRUN true\n", "--cache-from", "127.0.0.1:1/none:1").ok()
    assert "CacheNotUsed" in said.err


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_reproducible_with_an_epoch(
    make_daemon: Callable[..., Daemon], project: Project, tmp_path: Path, driver: str
) -> None:
    text = "FROM busybox\nCOPY a /d/a\nRUN mkdir /e && date > /dev/null && echo x > /e/x\n"
    text += "WORKDIR /w\nCOPY <<E /h\nE\n"
    text += "RUN rm /etc/group && rm -r /home && mkdir /home && mv /var /moved && chmod 700 /root\n"
    epoch = ("--build-arg", "SOURCE_DATE_EPOCH=1000000000")
    project.write(a="A")
    first = project.image(text, *epoch)
    other = make_daemon(flags=["--storage-driver", driver]).start()
    other.load(images.busybox())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = Project(Cli(str(BIN / "moor"), other.socket, elsewhere), elsewhere)
    second.write(a="A")
    assert second.image(text, *epoch) == first
    assert project.config(first)["Created"] == "2001-09-09T01:46:40Z"
    project.remove(first)


def test_layers_of_the_cache_alone_are_no_images_disk_usage(
    project: Project, daemon: Daemon
) -> None:
    def of_images() -> int:
        usage = daemon.api.get("/system/df", type="image").ok().json()["ImageUsage"]
        size: int = usage["TotalSize"]
        return size

    before = of_images()
    image = project.image("FROM busybox\nRUN head -c 1000000 /dev/zero > /large\n")
    assert of_images() >= before + 1_000_000
    project.remove(image)
    assert of_images() == before
