import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib.errors import InvalidParameter
from moorage.spec import gojson
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.hostconfig import HostConfig

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def test_null_is_the_zero_value_everywhere() -> None:
    body = b'{"Tty": null, "Env": null, "Labels": {"a": null}, "ExposedPorts": {"80/tcp": null}}'
    config = gojson.decode(body, ContainerConfig)
    assert config.tty is False
    assert config.env is None
    assert config.labels == {"a": ""}
    assert config.exposed_ports == {"80/tcp": {}}


def test_keys_match_without_regard_to_case() -> None:
    host = gojson.decode(b'{"memory": 5, "MOUNTS": [{"tYpe": "bind"}]}', HostConfig)
    assert host.memory == 5
    assert host.mounts is not None
    assert host.mounts[0].type == "bind"


def test_an_empty_body_is_the_zero_value() -> None:
    assert gojson.decode(b"", HostConfig) == HostConfig()


def test_a_wrong_type_names_its_field() -> None:
    with pytest.raises(InvalidParameter, match=r"Memory"):
        gojson.decode(b'{"Memory": "much"}', HostConfig)


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 100_000, b'{"a": 1} trailing'])
def test_what_is_not_json_is_the_clients_fault(text: bytes) -> None:
    with pytest.raises(InvalidParameter):
        gojson.decode(text, HostConfig)


@given(ANY_JSON)
def test_any_document_is_taken_or_refused_but_never_crashes(document: object) -> None:
    with contextlib.suppress(InvalidParameter):
        gojson.decode(msgspec.json.encode(document), HostConfig)


def test_filters_of_both_ages() -> None:
    new = Filters.parse('{"label": ["a=b", "c"]}')
    old = Filters.parse('{"label": {"a=b": true, "c": false}}')  # the key alone counts
    for filters in (new, old):
        assert filters.labels({"a": "b", "c": "x"})
        assert not filters.labels({"a": "z", "c": "x"})


@pytest.mark.parametrize("text", [None, "", "{}", "null"])
def test_no_filters_in_any_spelling(text: str | None) -> None:
    assert not Filters.parse(text)


def test_an_unknown_filter_is_refused_with_dockers_sentence() -> None:
    with pytest.raises(InvalidParameter, match="invalid filter 'colour'"):
        Filters({"colour": ["red"]}).require_known({"label"})


@pytest.mark.parametrize("text", ['{"dangling": ["maybe"]}', '{"dangling": ["1", "0"]}'])
def test_a_flag_that_is_neither_true_nor_false_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid filter"):
        Filters.parse(text).flag("dangling")
