"""Challenges, credentials, proxies, mirrors and insecure registries: read as Docker reads them."""

import base64
import json
from pathlib import Path

import pytest

from moorage.lib.errors import InvalidParameter, System
from moorage.registry import challenge, credentials, hosts, settings, transport
from moorage.registry.proxies import Proxies
from moorage.registry.settings import RegistrySettings


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        ('Basic realm="Registry Realm"', "basic", {"realm": "Registry Realm"}),
        (
            'Bearer realm="https://auth.lan/token",service="reg",scope="repository:a/b:pull,push"',
            "bearer",
            {
                "realm": "https://auth.lan/token",
                "service": "reg",
                "scope": "repository:a/b:pull,push",
            },
        ),
        ('bearer Realm=https://a , x="q\\"uote"', "bearer", {"realm": "https://a", "x": 'q"uote'}),
        ('Negotiate, Basic realm="x"', "basic", {"realm": "x"}),
    ],
)
def test_challenges_are_parsed(header: str, scheme: str, parameters: dict[str, str]) -> None:
    chosen = challenge.choose(challenge.parse([header]))
    assert chosen == challenge.Challenge(scheme, parameters)


def test_bearer_is_preferred_and_one_without_realm_is_none() -> None:
    both = challenge.parse(['Basic realm="x"', 'Bearer realm="https://a"'])
    chosen = challenge.choose(both)
    assert chosen
    assert chosen.scheme == "bearer"
    assert challenge.choose(challenge.parse(["Bearer", "Negotiate"])) is None
    assert challenge.parse(["", "=,=,", '"""']) == []


def header(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def test_registry_auth_headers_of_all_clients_are_taken() -> None:
    plain = credentials.decode_header(header({"username": "u", "password": "p?>~", "email": None}))
    assert (plain.username, plain.password) == ("u", "p?>~")
    standard = base64.b64encode(json.dumps({"username": "u", "password": "p?>~"}).encode()).decode()
    assert credentials.decode_header(standard.rstrip("=")).password == "p?>~"  # noqa: S105
    pair = base64.b64encode(b"u:p:q").decode()
    assert credentials.decode_header(header({"auth": pair})).password == "p:q"  # noqa: S105
    assert not credentials.decode_header(None)
    assert not credentials.decode_header(header(None))
    assert not credentials.decode_header(header({}))


@pytest.mark.parametrize("text", ["!!!", "e30x", base64.b64encode(b"[1]").decode()])
def test_a_malformed_auth_header_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        credentials.decode_header(text)
    assert "invalid X-Registry-Auth header" in caught.value.message
    assert text not in str(caught.value)


def test_credentials_never_show_their_secrets() -> None:
    given = credentials.Credentials(username="u", password="secret", identity_token="secret")  # noqa: S106
    assert "secret" not in repr(given)
    assert "secret" not in str(given)


@pytest.mark.parametrize(
    ("url", "exceptions", "proxy"),
    [
        ("https://reg.lan/v2/", "", "http://proxy:3128"),
        ("https://reg.lan/v2/", "reg.lan", None),
        ("https://a.reg.lan/v2/", ".reg.lan", None),
        ("https://a.reg.lan/v2/", "reg.lan", None),
        ("https://areg.lan/v2/", "reg.lan", "http://proxy:3128"),
        ("https://10.1.2.3/v2/", "10.0.0.0/8", None),
        ("https://10.1.2.3:5000/v2/", "10.1.2.3:5000", None),
        ("https://10.1.2.3:5001/v2/", "10.1.2.3:5000", "http://proxy:3128"),
        ("https://x/", "*", None),
        ("https://localhost:5000/v2/", "", None),
        ("https://[::1]:5000/v2/", "", None),
    ],
)
def test_proxies_are_chosen_as_go_does(url: str, exceptions: str, proxy: str | None) -> None:
    assert Proxies(https="proxy:3128", exceptions=exceptions).choose(url) == proxy


def test_mirrors_stand_in_for_hub_or_the_registry_they_name() -> None:
    found = settings.parse_mirrors(["https://a.lan/", "ghcr.io=https://b.lan/ghcr", "http://c"])
    assert found == {
        "docker.io": ("https://a.lan", "http://c"),
        "ghcr.io": ("https://b.lan/ghcr",),
    }
    for wrong in ("a.lan", "ftp://a", "https://u:p@a", "https://a?x=1", "ghcr.io=b"):
        with pytest.raises(InvalidParameter, match="invalid mirror"):
            settings.parse_mirrors([wrong])


def test_insecure_registries_by_host_and_network() -> None:
    names, networks = settings.parse_insecure(["Reg.lan:5000", "10.0.0.0/8"])
    known = RegistrySettings(insecure_hosts=names, insecure_networks=networks)
    assert hosts.is_insecure(known, "reg.lan:5000")
    assert not hosts.is_insecure(known, "reg.lan:5001")
    assert hosts.is_insecure(known, "10.20.30.40:5000")
    assert hosts.is_insecure(known, "127.0.0.5:5000")
    assert hosts.is_insecure(known, "localhost:5000")
    assert hosts.is_insecure(known, "[::1]:5000")
    assert not hosts.is_insecure(known, "192.0.2.1")
    for wrong in ("http://x", "10.0.0.0/99", "-x"):
        with pytest.raises(InvalidParameter):
            settings.parse_insecure([wrong])


def test_an_insecure_registry_is_tried_by_tls_first_and_then_without() -> None:
    found = hosts.endpoints(RegistrySettings(certs_directories=()), "127.0.0.1:5000", "x")
    assert [(e.api, e.tls.verify) for e in found] == [
        ("https://127.0.0.1:5000/v2", False),
        ("http://127.0.0.1:5000/v2", False),
    ]


def test_certificates_and_hosts_toml_of_a_registry(tmp_path: Path) -> None:
    directory = tmp_path / "ghcr.io"
    directory.mkdir()
    for name in ("ca.crt", "me.cert", "me.key"):
        (directory / name).write_text("x")
    (directory / "hosts.toml").write_text(
        """
        server = "https://upstream.lan"
        [host."https://mirror.lan"]
          capabilities = ["pull"]
          ca = "mirror.pem"
          client = [["c.pem", "k.pem"]]
          [host."https://mirror.lan".header]
            x-team = "a"
        [host."http://plain.lan/v2/ghcr"]
          override_path = true
        """
    )
    known = RegistrySettings(certs_directories=(tmp_path,))
    mirror, plain, origin = hosts.endpoints(known, "ghcr.io", "owner/app")
    assert mirror.api == "https://mirror.lan/v2"
    assert mirror.is_mirror
    assert mirror.namespace
    assert not mirror.can_resolve
    assert mirror.headers == {"x-team": "a"}
    assert mirror.tls.authorities == (directory / "mirror.pem",)
    assert mirror.tls.clients == ((directory / "c.pem", directory / "k.pem"),)
    assert plain.repository_url("owner/app") == "http://plain.lan/v2/ghcr/owner/app"
    assert origin.api == "https://upstream.lan/v2"
    assert origin.tls.authorities == (directory / "ca.crt",)
    assert origin.can_push
    (directory / "me.key").unlink()
    with pytest.raises(System, match=r"missing key me\.key for client certificate"):
        hosts.endpoints(known, "ghcr.io", "owner/app")


def test_mirrors_of_registries_conf_go_by_the_longest_prefix(tmp_path: Path) -> None:
    conf = tmp_path / "registries.conf"
    conf.write_text(
        """
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "a.lan"
        [[registry]]
        prefix = "docker.io/library"
        location = "docker.io/library"
        [[registry.mirror]]
        location = "b.lan/hub"
        [[registry]]
        location = "bad.lan"
        blocked = true
        """
    )
    known = RegistrySettings(certs_directories=(), registries_conf=conf)
    special = hosts.endpoints(known, "docker.io", "library/nginx")[0]
    assert special.repository_url("library/nginx") == "https://b.lan/v2/hub/nginx"
    general = hosts.endpoints(known, "docker.io", "libraryx/nginx")[0]
    assert general.repository_url("libraryx/nginx") == "https://a.lan/v2/libraryx/nginx"
    with pytest.raises(System, match=r"bad\.lan is blocked"):
        hosts.endpoints(known, "bad.lan", "x")


def test_retry_after_is_seconds_or_a_date() -> None:
    assert transport.retry_after("7") == 7.0
    assert transport.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert transport.retry_after("soon") is None
    assert transport.retry_after(None) is None


@pytest.mark.parametrize("host", ["../secret", "..", ".", "", "a/../../secret"])
def test_f10_a_registrys_name_is_no_path_to_certificates(tmp_path: Path, host: str) -> None:
    (tmp_path / "certs.d" / "a").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    for directory in (tmp_path, tmp_path / "secret", tmp_path / "certs.d"):
        (directory / "ca.crt").write_text("")
    known = RegistrySettings(certs_directories=(tmp_path / "certs.d",))
    assert hosts.certificates(known, host).authorities == ()
