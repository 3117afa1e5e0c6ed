from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs

from moorage.build.frontends.dockerfile import parser
from moorage.build.frontends.dockerfile.convert import Converted, Request, convert
from moorage.build.frontends.dockerfile.lint import Linter
from moorage.build.frontends.dockerfile.source import DockerfileError
from moorage.build.graph import Copy, Exec, ImageSource, MakeDirectory, Merge
from moorage.build.needs import BaseImage
from moorage.build.options import BuildOptions
from moorage.lib.errors import Forbidden, InvalidParameter, NotFound
from moorage.spec.digest import Digest
from moorage.spec.oci.image import ContainerConfig, History, ImageConfig, RootFS
from moorage.spec.platforms import Platform

HERE = Platform(os="linux", architecture="amd64")


class Images:
    def __init__(self, **images: ContainerConfig) -> None:
        self.images = {"base": ContainerConfig(env=["PATH=/bin", "B=base"], cmd=["sh"]), **images}
        self.asked: list[str] = []

    async def resolve(self, name: str, platform: Platform, *, pull: bool) -> BaseImage:
        self.asked.append(f"{name} {platform} {pull}")
        if name not in self.images:
            raise NotFound(f"No such image: {name}:latest")
        return BaseImage(
            reference=name,
            id=Digest(f"sha256:{name}"),
            config=ImageConfig(
                os=platform.os,
                architecture=platform.architecture,
                config=self.images[name],
                rootfs=RootFS(diff_ids=[Digest("sha256:" + "1" * 64)]),
                history=[History(created_by="base")],
            ),
        )


def run(text: str, images: Images | None = None, **options: Any) -> tuple[Converted, list[str]]:
    dockerfile = parser.parse(text.encode())
    linter = Linter(dockerfile)
    linter.check_text()
    request = Request(
        dockerfile=dockerfile,
        options=BuildOptions(**options),
        images=images or Images(),
        build_platform=HERE,
        target_platform=HERE,
        session="s",
        linter=linter,
    )
    converted = asyncio.run(convert(request))
    return converted, [f"{w.rule}:{w.span.start}" for w in linter.warnings]


def execs(converted: Converted) -> list[Exec]:
    found = (vertex.operation for vertex in converted.vertex.walk())
    return [operation for operation in found if isinstance(operation, Exec)]


def test_only_what_the_target_needs_is_converted() -> None:
    images = Images()
    converted, _ = run(
        "FROM nowhere AS unused\nRUN a\nFROM base AS x\nRUN b\nFROM base\nCOPY --from=x /a /b\n",
        images,
    )
    assert [operation.arguments[-1] for operation in execs(converted)] == ["b"]
    assert images.asked == ["base linux/amd64 False"]
    assert [stage.label for stage in converted.stages] == ["x", "stage-2"]


def test_a_check_without_a_target_looks_at_all_stages() -> None:
    text = "FROM base AS unused\nWORKDIR a\nFROM base\nWORKDIR b\n"
    assert run(text)[1] == ["WorkdirRelativePath:4"]
    assert run(text, check=True)[1] == ["WorkdirRelativePath:2", "WorkdirRelativePath:4"]
    assert run(text, check=True, target="1")[1] == ["WorkdirRelativePath:4"]


def test_a_base_that_only_arguments_make_valid_is_reported() -> None:
    given = {"V": "base", "W": "base"}
    text = "ARG V\nARG W=${V:-ok}\nFROM ${V}\nFROM $W\n"
    assert run(text, build_args=given)[1] == ["InvalidDefaultArgInFrom:3"]
    assert run("ARG V\nFROM ${V:?missing}\n", build_args=given)[1] == []


def test_a_base_for_another_platform_is_reported() -> None:
    class Others(Images):
        async def resolve(self, name: str, platform: Platform, *, pull: bool) -> BaseImage:
            found = await super().resolve(name, platform, pull=pull)
            return structs.replace(
                found, config=structs.replace(found.config, architecture="s390x")
            )

    assert run("FROM base\n", Others())[1] == ["InvalidBaseImagePlatform:1"]


def test_target_by_name_and_by_number() -> None:
    text = "FROM base AS One\nRUN a\nFROM base\nRUN b\n"
    assert execs(run(text, target="ONE")[0])[0].arguments[-1] == "a"
    assert execs(run(text, target="0")[0])[0].arguments[-1] == "a"
    with pytest.raises(InvalidParameter, match=r"could not be found .did you mean one"):
        run(text, target="oen")


def test_arguments_follow_their_scopes() -> None:
    converted, warnings = run(
        "ARG A=1\nARG I=base\nFROM $I\nRUN echo 0\nARG A\nARG C=$A-c\nRUN echo 1\nENV A=env\n"
        "ARG D\nRUN echo 2\n",
        build_args={"C": "given", "D": None},
    )
    first, second, third = (operation.environment for operation in execs(converted))
    assert "A=1" not in first
    assert {"A=1", "C=given"} <= set(second)
    assert "A=env" in third
    assert "A=1" not in third
    assert not warnings


def test_platform_arguments_must_be_declared() -> None:
    converted, _ = run("FROM base\nENV X=$TARGETARCH\nARG TARGETARCH\nENV Y=$TARGETARCH\n")
    assert converted.config.env is not None
    assert converted.config.env[-2:] == ["X=", "Y=amd64"]


def test_proxies_reach_commands_but_not_the_operation() -> None:
    converted, _ = run("FROM base\nRUN a\n", build_args={"HTTP_PROXY": "http://u:secret@p"})
    assert converted.vertex.proxy == ("HTTP_PROXY=http://u:secret@p",)
    assert "secret" not in str(converted.vertex.operation)
    assert all("secret" not in str(step.history) for step in converted.target.steps)


def test_configuration_and_history_of_every_instruction() -> None:
    converted, _ = run(
        'FROM base\nLABEL a="b c"\nEXPOSE 80 90-91/udp\nUSER u:g\nVOLUME /v /w\nWORKDIR /x\n'
        'WORKDIR y\nSTOPSIGNAL SIGINT\nSHELL ["/bin/b", "-c"]\nENTRYPOINT run\nCMD ["x", "y z"]\n'
        "HEALTHCHECK --retries=2 CMD t\nONBUILD RUN z\nENV Q=1\nMAINTAINER me\n",
        labels={"l": "m"},
    )
    config = converted.config
    assert config.labels == {"a": "b c", "l": "m"}
    assert list(config.exposed_ports or {}) == ["80/tcp", "90/udp", "91/udp"]
    assert config.user == "u:g"
    assert list(config.volumes or {}) == ["/v", "/w"]
    assert config.working_dir == "/x/y"
    assert config.stop_signal == "SIGINT"
    assert config.entrypoint == ["/bin/b", "-c", "run"]
    assert config.cmd == ["x", "y z"]
    assert config.healthcheck is not None
    assert config.healthcheck.test == ["CMD-SHELL", "t"]
    assert config.on_build == ["RUN z"]
    assert config.env == ["PATH=/bin", "B=base", "Q=1"]
    assert converted.author == "me"
    assert config.args_escaped
    history = [step.history for step in converted.target.steps if step.history]
    assert {entry.author for entry in history} == {""}
    check = "Test:[CMD-SHELL t] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2"
    assert [entry.created_by for entry in history] == [
        "LABEL a=b c",
        "EXPOSE [80/tcp 90/udp 91/udp]",
        "USER u:g",
        "VOLUME [/v /w]",
        "WORKDIR /x",
        "WORKDIR /x/y",
        "STOPSIGNAL SIGINT",
        "SHELL [/bin/b -c]",
        'ENTRYPOINT ["/bin/b" "-c" "run"]',
        'CMD ["x" "y z"]',
        f"HEALTHCHECK {{{check}}}",
        "ENV Q=1",
        "MAINTAINER me",
    ], "ONBUILD is not in the history"


def test_history_of_files_and_commands() -> None:
    converted, _ = run(
        "FROM base AS first\nARG A=1\nARG NONE\nENV A=2\nFROM first\nARG C=3 A=9\nWORKDIR /w\n"
        "ARG WHO=me\nCOPY --parents --chown=$WHO:us --chmod=0640 --link a b/ ./x/\n"
        'ADD f .\nRUN z\nRUN ["p", "a b"]\n'
    )
    history = [step.history.created_by for step in converted.target.steps if step.history]
    arguments = "|4 A=2 NONE= C=3 WHO=me"
    assert history == [
        "ARG C=3 A=9",
        "WORKDIR /w",
        "ARG WHO=me",
        "COPY --parents --chown=me:us --chmod=0640 a b/ ./x/ # buildkit",
        "ADD f . # buildkit",
        f"RUN {arguments} /bin/sh -c z # buildkit",
        f"RUN {arguments} p a b # buildkit",
    ]


def test_a_stage_has_the_arguments_of_the_one_it_is_based_on() -> None:
    text = "FROM base AS a\nARG X=5\nFROM a\nENV Y=$X\nARG X\nENV Z=$X\nRUN c\n"
    converted, _ = run(text)
    assert (converted.config.env or [])[-2:] == ["Y=5", "Z=5"]
    assert "X=5" in execs(converted)[-1].environment
    converted, _ = run("FROM base AS a\nARG X=5\nFROM base\nENV Y=$X\n")
    assert (converted.config.env or [])[-1] == "Y="


def test_entrypoint_drops_the_command_of_the_base_only() -> None:
    assert run("FROM base\nENTRYPOINT x\n")[0].config.cmd is None
    assert run("FROM base\nCMD y\nENTRYPOINT x\n")[0].config.cmd == ["/bin/sh", "-c", "y"]


def test_onbuild_triggers_run_first_and_are_not_inherited() -> None:
    images = Images(trigger=ContainerConfig(on_build=["RUN t", "ENV T=1"]))
    converted, _ = run("FROM trigger\nRUN own\n", images)
    assert [operation.arguments[-1] for operation in execs(converted)] == ["t", "own"]
    assert converted.config.on_build is None
    assert "T=1" in (converted.config.env or [])


def test_heredoc_scripts() -> None:
    converted, _ = run(
        "FROM base\nRUN <<E\na\nb\nE\nRUN <<E\n#!/bin/python\nx\nE\nRUN cat <<E >f\n$y\nE\n"
    )
    shell, script, complex_ = execs(converted)
    assert shell.arguments == ("/bin/sh", "-c", "a\nb\n")
    assert script.arguments == ("/dev/pipes/E",)
    assert script.mounts[0].content == "#!/bin/python\nx\n"
    assert complex_.arguments[-1] == "cat <<E >f\n$y\nE"


def test_link_makes_a_layer_of_its_own() -> None:
    converted, _ = run("FROM base\nCOPY --link a /b/\n")
    assert isinstance(converted.vertex.operation, Merge)
    copied = converted.vertex.inputs[1]
    assert isinstance(copied.operation, Copy)
    assert copied.inputs[0].operation.__class__.__name__ == "Scratch"


def test_destination_is_made_absolute_and_keeps_its_slash() -> None:
    converted, _ = run("FROM base\nWORKDIR /w\nCOPY a .\nCOPY a b/\nCOPY a ../c\n")
    found = [v.operation for v in converted.vertex.walk()]
    copies = [operation.destination for operation in found if isinstance(operation, Copy)]
    assert copies == ["/w/", "/w/b/", "/c"]
    assert any(isinstance(operation, MakeDirectory) for operation in found)


def test_equal_stages_are_one_vertex_and_names_do_not_count() -> None:
    one, _ = run("FROM base AS a\nRUN x\n")
    other, _ = run("# comment\nFROM base AS b\nRUN   x\n")
    assert one.vertex.digest == other.vertex.digest
    assert one.vertex.digest != run("FROM base\nRUN y\n")[0].vertex.digest


def test_cache_can_be_switched_off_for_one_stage() -> None:
    converted, _ = run(
        "FROM base AS a\nRUN x\nFROM base AS b\nRUN y\nCOPY --from=a / /\n", no_cache_stages=("a",)
    )
    uses = {v.stage: v.use_cache for v in converted.vertex.walk() if v.stage}
    assert uses == {"a": False, "b": True}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("FROM base\nCOPY ../x /y", 2, "forbidden path outside the build context"),
        ("FROM base\nCOPY a b /y", 2, "must be a directory and end with a /"),
        ("FROM base\nCOPY --chmod=rwx a /y", 2, "invalid chmod parameter"),
        ("FROM base\nCOPY --from=0 a /y", 2, "invalid stage index 0"),
        ("FROM base AS x\nCOPY --from=$y a /b", 2, "variable expansion is not supported"),
        ("FROM base AS x\nCOPY --from=y a /b\nFROM base AS y\nCOPY --from=x a /b", 3, "circular"),
        ("FROM base\nRUN --mount=target=/,from=base x", 2, "invalid mount target"),
        ("FROM base\nRUN --mount=target=/a,from=$x x", 2, "doesn't support variable expansion"),
        ("FROM base\nEXPOSE 70000", 2, "invalid containerPort"),
        ("FROM base\nEXPOSE 80/xyz", 2, "invalid proto"),
        ("FROM base\nSTOPSIGNAL NOSUCH", 2, "invalid signal"),
        ('FROM base\nENV a="${b:?must be}"', 2, "b: must be"),
        ("FROM base\nADD --checksum=sha256:1 http://x/y /z", 2, "invalid checksum"),
        ("ARG X\nFROM $X", 2, "should not be blank"),
        ("FROM --platform=a/b/c/d base", 1, "failed to parse platform"),
    ],
)
def test_mistakes_are_shown_with_their_line(text: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as caught:
        run(text)
    assert caught.value.span.start == line


def test_a_missing_image_is_shown_with_the_line_that_asks_for_it() -> None:
    with pytest.raises(NotFound, match=r"No such image: nope(?s:.*)>>> FROM nope"):
        run("FROM nope\n")


@pytest.mark.parametrize("flag", ["--security=insecure", "--network=host"])
def test_b3_what_needs_permission_is_refused_without_it(flag: str) -> None:
    with pytest.raises(Forbidden, match="is not allowed"):
        run(f"FROM base\nRUN {flag} x\n", allow=frozenset({"security.insecure", "network.host"}))


def test_images_are_known_by_their_configuration() -> None:
    source = run("FROM base\n")[0].vertex.operation
    assert isinstance(source, ImageSource)
    assert source.config == "sha256:base"
