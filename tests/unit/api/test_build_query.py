"""The query of the classic builder, as old and new clients send it."""

from __future__ import annotations

import pytest

from moorage.api import build_query
from moorage.api.build_query import BuildQuery
from moorage.lib.errors import InvalidParameter
from moorage.spec.platforms import Platform

HOST = Platform(os="linux", architecture="amd64")


@pytest.mark.parametrize("empty", ["", "null"])
def test_old_clients_say_null_for_what_is_empty(empty: str) -> None:
    query = BuildQuery(buildargs=empty, labels=empty, ulimits=empty, cachefrom=empty, outputs=empty)
    assert build_query.options(query, HOST) == build_query.options(BuildQuery(), HOST)


def test_lists_and_tables_are_decoded() -> None:
    options = build_query.options(
        BuildQuery(
            buildargs='{"A":"1","B":null}',
            ulimits='[{"Name":"nofile","Soft":1,"Hard":2}]',
            cachefrom='["a","b"]',
            extrahosts=['["x:1","y:2"]', "z:3"],
        ),
        HOST,
    )
    assert options.build_args == {"A": "1", "B": None}
    assert [(limit.name, limit.soft, limit.hard) for limit in options.limits.ulimits] == [
        ("nofile", 1, 2)
    ]
    assert [cache.attributes for cache in options.cache_from] == [{"ref": "a"}, {"ref": "b"}]
    assert options.extra_hosts == ("x:1", "y:2", "z:3")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            BuildQuery(securityopt='["seccomp=unconfined"]'),
            "security options are not supported on linux",
        ),
        (BuildQuery(isolation="hyperv"), 'unsupported isolation: "hyperv"'),
        (BuildQuery(version="3"), 'invalid version "3"'),
        (BuildQuery(t=["a@sha256:" + "0" * 64]), "build tag cannot contain a digest"),
    ],
)
def test_what_no_build_on_linux_does_is_refused(query: BuildQuery, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        build_query.options(query, HOST)


def test_a_parameter_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        build_query.options(BuildQuery(labels="[1]"), HOST)
