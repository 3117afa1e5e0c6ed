"""/etc/hosts and resolv.conf: what gets in, and what never does (N9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib.errors import InvalidParameter
from moorage.networks import files
from moorage.networks.files import Resolver


def test_extra_hosts_in_both_spellings() -> None:
    entries = ["a:1.2.3.4", "b=::1", "c:[fd00::1]", "gw:host-gateway"]
    assert files.extra_hosts(entries, ["172.17.0.1", "fd00::9"]) == [
        ("1.2.3.4", "a"),
        ("::1", "b"),
        ("fd00::1", "c"),
        ("172.17.0.1", "gw"),
        ("fd00::9", "gw"),
    ]


@pytest.mark.parametrize("text", ["a", "a:", ":1.2.3.4", "a:b", "a b:1.2.3.4", "a\n:1.2.3.4"])
def test_what_is_no_extra_host(text: str) -> None:
    with pytest.raises(InvalidParameter):
        files.extra_hosts([text], [])


def test_host_gateway_without_a_gateway_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="host-gateway"):
        files.extra_hosts(["a:host-gateway"], [])


@given(st.lists(st.tuples(st.sampled_from(["10.0.0.1", "fd00::1"]), st.text(max_size=40))))
def test_no_name_adds_a_line(entries: list[tuple[str, str]]) -> None:
    plain = files.hosts([]).count(b"\n")
    written = files.hosts(entries)
    assert written.count(b"\n") <= plain + len(entries)
    for line in written.decode().splitlines()[plain:]:
        assert line.partition("\t")[0] in {"10.0.0.1", "fd00::1"}


@given(
    st.lists(st.text(max_size=20), max_size=3),
    st.lists(st.text(max_size=20), max_size=3),
    st.lists(st.text(max_size=20), max_size=3),
)
def test_no_option_adds_a_server(servers: list[str], search: list[str], options: list[str]) -> None:
    try:
        text = Resolver(servers, search, options).render(["127.0.0.11"]).decode()
    except InvalidParameter:
        return
    assert [x for x in text.splitlines() if x.startswith("nameserver")] == ["nameserver 127.0.0.11"]


def test_a_resolv_conf_is_read_and_overridden() -> None:
    text = (
        "# note\nnameserver 127.0.0.53 # local\nnameserver 10.0.0.1\nsearch a.example b.example\n"
    )
    found = Resolver.parse(text + "options ndots:2\nnonsense here\n")
    assert found.servers == ["127.0.0.53", "10.0.0.1"]
    assert found.reachable_inside() == ["10.0.0.1"]
    changed = found.overridden([], ["."], ["timeout:1"])
    assert (changed.search, changed.options) == ([], ["timeout:1"])
    assert found.overridden(["9.9.9.9"], [], []).servers == ["9.9.9.9"]


@pytest.mark.parametrize(
    ("hostname", "domain", "names"),
    [
        ("box", "", "box"),
        ("box.corp", "", "box.corp box"),
        ("box", "corp", "box.corp box"),
        ("", "corp", ""),
    ],
)
def test_a_containers_own_names(hostname: str, domain: str, names: str) -> None:
    assert files.own_names(hostname, domain) == names
