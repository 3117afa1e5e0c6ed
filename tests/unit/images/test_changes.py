from __future__ import annotations

import pytest

from moorage.images import changes
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.health import HealthConfig
from moorage.spec.oci.image import ContainerConfig


def test_every_instruction() -> None:
    config = changes.apply(
        ContainerConfig(env=["A=old", "B=1"], working_dir="/srv"),
        [
            'CMD ["a", "b c"]',
            "ENTRYPOINT run it",
            'ENV A=new C="x y"',
            "env D one two",
            "EXPOSE 80 53/udp 9000-9001",
            'LABEL k="v w" l=m',
            "USER app",
            'VOLUME ["/data", "/x y"]',
            "VOLUME /one /two",
            "WORKDIR sub",
            "ONBUILD RUN true",
            "STOPSIGNAL SIGQUIT",
            "HEALTHCHECK --interval=5s --retries=2 CMD check me",
        ],
    )
    assert config.cmd == ["a", "b c"]
    assert config.entrypoint == ["/bin/sh", "-c", "run it"]
    assert config.env == ["B=1", "A=new", "C=x y", "D=one two"]
    assert set(config.exposed_ports or {}) == {"80/tcp", "53/udp", "9000/tcp", "9001/tcp"}
    assert config.labels == {"k": "v w", "l": "m"}
    assert set(config.volumes or {}) == {"/data", "/x y", "/one", "/two"}
    assert (config.user, config.working_dir, config.stop_signal) == ("app", "/srv/sub", "SIGQUIT")
    assert config.on_build == ["RUN true"]
    assert config.healthcheck == HealthConfig(
        test=["CMD-SHELL", "check me"], interval=5_000_000_000, retries=2
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("RUN rm -rf /", "RUN is not a valid change command"),
        ("", "file with no instructions"),
        ("# a comment", "file with no instructions"),
        ("STOPSIGNAL soon", "invalid signal: soon"),
        ("CMD", "CMD requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", "can't find ="),
        ('LABEL "', "can't find ="),
        ("EXPOSE 70000", "Invalid containerPort: 70000"),
        ("USER a b", "USER requires exactly one argument"),
        ("ONBUILD ONBUILD X", "Chaining ONBUILD"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK --odd=1s CMD x", "Unknown flag: odd"),
        ("HEALTHCHECK x", "in HEALTHCHECK"),
    ],
)
def test_what_is_refused(change: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        changes.apply(ContainerConfig(), [change])
