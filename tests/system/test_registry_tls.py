"""TLS at registries: verified unless said otherwise, with the certificates of ``certs.d``."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.lib.errors import System, Unauthorized
from moorage.registry.credentials import Credentials
from moorage.registry.registries import Registries
from moorage.registry.settings import RegistrySettings
from moorage.spec import reference as references
from support.dockerregistry import Certificate, make_certificate
from support.registry import FakeRegistry

pytestmark = pytest.mark.requires("openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def registry(certificate: Certificate) -> Iterator[FakeRegistry]:
    with FakeRegistry(certificate=(certificate.certificate, certificate.key)) as registry:
        registry.add_image("app", "1", [], b"{}")
        yield registry


def resolve(host: str, settings: RegistrySettings, credentials: Credentials | None = None) -> str:
    """Resolve ``app:1`` by the first way there is; return its digest."""

    async def work() -> str:
        registries = Registries(lambda: settings, user_agent="test")
        try:
            reference = references.parse_normalized(f"{host}/app:1")
            ways = await registries.repositories(reference, credentials or Credentials())
            return (await ways[0].resolve("1")).digest
        finally:
            await registries.close()

    return asyncio.run(work())


def strict(certs: Path) -> RegistrySettings:
    """Take this machine's own addresses for strangers' too."""
    return RegistrySettings(insecure_networks=(), certs_directories=(certs,))


def test_i8_an_unknown_certificate_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    with pytest.raises(System, match="x509: certificate signed by unknown authority") as caught:
        resolve(registry.host, strict(tmp_path))
    assert "certs.d" in str(caught.value)
    assert registry.state.seen == []


def test_the_authority_of_certs_d_is_trusted(
    registry: FakeRegistry, certificate: Certificate, tmp_path: Path
) -> None:
    directory = tmp_path / registry.host
    directory.mkdir()
    (directory / "ca.crt").write_bytes(certificate.certificate.read_bytes())
    assert resolve(registry.host, strict(tmp_path)).startswith("sha256:")


def test_an_authority_that_is_replaced_counts_at_once(
    registry: FakeRegistry, certificate: Certificate, tmp_path: Path
) -> None:
    directory = tmp_path / registry.host
    directory.mkdir()
    file = directory / "ca.crt"
    file.write_bytes(make_certificate(tmp_path).certificate.read_bytes())
    reference = references.parse_normalized(f"{registry.host}/app:1")

    async def work() -> str:
        registries = Registries(lambda: strict(tmp_path), user_agent="test")
        try:
            (way,) = await registries.repositories(reference)
            with pytest.raises(System, match="x509"):
                await way.resolve("1")
            file.write_bytes(certificate.certificate.read_bytes())
            return (await way.resolve("1")).digest
        finally:
            await registries.close()

    assert asyncio.run(work()).startswith("sha256:")


def test_an_insecure_registry_may_have_any_certificate(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    lax = RegistrySettings(
        insecure_networks=(),
        insecure_hosts=frozenset({registry.host}),
        certs_directories=(tmp_path,),
    )
    assert resolve(registry.host, lax).startswith("sha256:")


def test_the_client_certificate_of_certs_d_is_shown(
    certificate: Certificate, tmp_path: Path
) -> None:
    client = make_certificate(tmp_path / "keys", "client")
    pair = (certificate.certificate, certificate.key)
    with FakeRegistry(certificate=pair, client_authority=client.certificate) as registry:
        registry.add_image("app", "1", [], b"{}")
        directory = tmp_path / registry.host
        directory.mkdir()
        (directory / "ca.crt").write_bytes(certificate.certificate.read_bytes())
        with pytest.raises(System, match=r"tls|closed the connection"):
            resolve(registry.host, strict(tmp_path))
        (directory / "client.cert").write_bytes(client.certificate.read_bytes())
        (directory / "client.key").write_bytes(client.key.read_bytes())
        assert resolve(registry.host, strict(tmp_path)).startswith("sha256:")


def test_i5_a_mirror_is_not_shown_the_credentials_of_its_registry(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    with FakeRegistry() as mirror:
        mirror.state.basic = ("ann", "secret")
        settings = RegistrySettings(
            mirrors={registry.host: (f"http://{mirror.host}",)}, certs_directories=(tmp_path,)
        )
        user = Credentials(
            username="ann",
            password="secret",  # noqa: S106
            server_address=registry.host,
        )
        with pytest.raises(Unauthorized, match="no basic auth credentials"):
            resolve(registry.host, settings, user)
        assert all("authorization" not in seen.headers for seen in mirror.state.seen)
        assert mirror.state.seen
