"""What a solve asks for, as options of the builder."""

from __future__ import annotations

import pytest

from moorage.build.graph import Ulimit
from moorage.build.options import Attestation, CacheOption, Output
from moorage.buildkit import attributes
from moorage.buildkit.attributes import Request
from moorage.buildkit.wire import control
from moorage.buildkit.wire.control import CacheOptions, Exporter, SolveRequest
from moorage.lib.errors import InvalidParameter, NotImplemented_
from moorage.spec.platforms import Platform

HOST = Platform(os="linux", architecture="amd64")


def read(
    attrs: dict[str, str] | None = None,
    *,
    solve: SolveRequest | None = None,
    frontend: str = "dockerfile.v0",
) -> Request:
    return attributes.read(
        frontend, attrs or {}, solve=solve or SolveRequest(), cache_from=(), host=HOST
    )


def test_a_plain_solve_takes_both_directories_of_the_client() -> None:
    found = read()
    assert (found.context, found.dockerfile, found.upload) == ("context", "dockerfile", "")
    assert found.options.dockerfile == "Dockerfile"
    assert found.options.outputs == (Output(type="cacheonly"),)


def test_every_attribute_has_its_option() -> None:
    options = read(
        {
            "filename": "sub/D",
            "target": "t",
            "build-arg:A": "1",
            "label:l": "v",
            "platform": "linux/arm64,linux/386",
            "image-resolve-mode": "pull",
            "add-hosts": "a=1.2.3.4,b=::1",
            "force-network-mode": "none",
            "shm-size": "65536",
            "ulimit": "nofile=10:20,nproc=5",
            "cgroup-parent": "/p",
            "hostname": "h",
            "context:more": "docker-image://busybox",
            "no-cache": "one,two",
        },
        solve=SolveRequest(
            entitlements=["security.insecure"],
            cache=CacheOptions(
                imports=[control.CacheOption(type="registry", attrs={"ref": "a/b"})],
                exports=[control.CacheOption(type="inline")],
            ),
            exporters=[Exporter(type="moby", attrs={"name": "x:1", "push": "true"})],
        ),
    ).options
    assert options.dockerfile == "sub/D"
    assert options.target == "t"
    assert options.build_args == {"A": "1", "BUILDKIT_SANDBOX_HOSTNAME": "h"}
    assert options.labels == {"l": "v"}
    assert [str(p) for p in options.platforms] == ["linux/arm64", "linux/386"]
    assert options.pull
    assert options.extra_hosts == ("a:1.2.3.4", "b:::1")
    assert options.network == "none"
    assert options.limits.shm_bytes == 65536
    assert options.limits.ulimits == (Ulimit("nofile", 10, 20), Ulimit("nproc", 5, 5))
    assert options.limits.cgroup_parent == "/p"
    assert options.contexts == {"more": "docker-image://busybox"}
    assert (options.no_cache, options.no_cache_stages) == (False, ("one", "two"))
    assert options.allow == {"security.insecure"}
    assert options.cache_from == (CacheOption(type="registry", attributes={"ref": "a/b"}),)
    assert options.cache_to == (CacheOption(type="inline"),)
    assert options.outputs == (Output(type="moby", attributes={"name": "x:1"}),)


def test_no_cache_without_stages_means_all() -> None:
    assert read({"no-cache": ""}).options.no_cache
    assert not read().options.no_cache


def test_an_older_client_names_one_exporter() -> None:
    solve = SolveRequest(exporter="tar", exporter_attrs={"a": "b"})
    assert read(solve=solve).options.outputs == (Output(type="tar", attributes={"a": "b"}),)


def test_contexts_elsewhere() -> None:
    remote = read({"context": "https://github.com/a/b.git#c"})
    assert (remote.options.remote, remote.context, remote.dockerfile) == (
        "https://github.com/a/b.git#c",
        "",
        "",
    )
    kept = read({"context": "https://x/y.tar", "dockerfilekey": "dockerfile"})
    assert (kept.context, kept.dockerfile) == ("", "dockerfile")
    sent = read({"context": "http://buildkit-session/abc"})
    assert (sent.upload, sent.options.remote, sent.dockerfile) == ("abc", "", "")


def test_a_statement_that_shall_lie_inside_is_left_out_where_nothing_is_inside() -> None:
    inline = {"attest:provenance": "mode=min,inline-only=true"}
    moby = SolveRequest(exporters=[Exporter(type="moby")])
    assert read(inline, solve=moby).options.attestations == ()
    oci = SolveRequest(exporters=[Exporter(type="oci")])
    assert read(inline, solve=oci).options.attestations == (Attestation(type="provenance"),)
    asked = {"attest:provenance": "mode=max", "attest:sbom": ""}
    assert read(asked, solve=moby).options.attestations == (
        Attestation(type="provenance", mode="max"),
        Attestation(type="sbom"),
    )
    off = {"attest:provenance": "disabled=true"}
    assert read(off, solve=oci).options.attestations == ()


def test_the_image_of_the_frontend_that_is_built_in_may_be_named() -> None:
    for source in ("docker/dockerfile:1", "docker.io/docker/dockerfile:1.7@sha256:00"):
        assert read({"source": source}, frontend="gateway.v0").dockerfile == "dockerfile"


@pytest.mark.parametrize(
    ("attrs", "frontend", "sentence"),
    [
        ({}, "other.v0", "frontend 'other.v0' cannot be run"),
        ({"source": "me/my:1"}, "gateway.v0", "frontend image 'me/my:1' cannot be run"),
        ({"wobble": "1"}, "dockerfile.v0", "attribute 'wobble' is not known"),
        ({"frontend.caps": "moby.buildkit.frontend.x"}, "dockerfile.v0", "frontend.x is not built"),
        ({"context:a": "oci-layout://x"}, "dockerfile.v0", "oci-layout:// is not built"),
        ({"context:a": "input:x"}, "dockerfile.v0", "input: is not built"),
        ({"contextsubdir": "x"}, "dockerfile.v0", "contextsubdir"),
    ],
)
def test_what_is_not_built_says_so(attrs: dict[str, str], frontend: str, sentence: str) -> None:
    with pytest.raises(NotImplemented_, match=sentence):
        read(attrs, frontend=frontend)


@pytest.mark.parametrize(
    "attrs",
    [
        {"force-network-mode": "bridge"},
        {"shm-size": "-1"},
        {"ulimit": "nofile=x"},
        {"ulimit": "nofile"},
        {"add-hosts": "a"},
        {"platform": "linux/a/b/c/d"},
        {"context": "nowhere"},
    ],
)
def test_what_cannot_be_is_refused(attrs: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        read(attrs)


@pytest.mark.parametrize("entry", ["imports", "exports"])
def test_a_cache_in_the_clients_own_store_is_not_built(entry: str) -> None:
    options = [control.CacheOption(type="local", attrs={"src": "/x"})]
    cache = CacheOptions(imports=options) if entry == "imports" else CacheOptions(exports=options)
    with pytest.raises(NotImplemented_, match="content service"):
        read(solve=SolveRequest(cache=cache))
