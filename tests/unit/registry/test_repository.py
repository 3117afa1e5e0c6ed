"""What a registry may do to us, and what it learns of us."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from moorage.lib.errors import DataLoss, InvalidParameter, MoorageError, System, Unauthorized
from moorage.lib.httpclient import TLS
from moorage.registry.auth import Authorizer, may_use
from moorage.registry.challenge import Challenge
from moorage.registry.credentials import ANONYMOUS, Credentials
from moorage.registry.endpoint import Endpoint
from moorage.registry.failures import RegistryRefusal
from moorage.registry.registries import Registries
from moorage.registry.repository import Repository
from moorage.registry.settings import RegistrySettings
from moorage.registry.transport import Outgoing, Transport
from moorage.spec import digest as digests
from moorage.spec import mediatype
from moorage.spec import reference as references
from support.certificates import Authority
from support.registry import FakeRegistry, Handler, digest_of, token_server

MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": {"mediaType": mediatype.OCI_CONFIG, "digest": "sha256:" + "0" * 64, "size": 1},
        "layers": [],
    }
).encode()
USER = Credentials(username="ann", password="secret")  # noqa: S106


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.add_manifest("team/app", "1", MANIFEST, mediatype.OCI_MANIFEST)
        yield registry


Body = Callable[[Repository], Awaitable[None]]


def with_repository(
    registry: FakeRegistry, body: Body, credentials: Credentials = ANONYMOUS
) -> list[float]:
    """Run *body* with the plain-HTTP repository; return the pauses it made."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def work() -> None:
        registries = Registries(RegistrySettings, user_agent="test")
        registries._transport = Transport(  # noqa: SLF001
            user_agent="test", proxies=RegistrySettings().proxies, sleep=sleep
        )
        reference = references.parse_normalized(f"{registry.host}/team/app:1")
        found = await registries.repositories(reference, credentials)
        try:
            await body(found[-1])
        finally:
            await registries.close()

    asyncio.run(work())
    return pauses


def fails(
    registry: FakeRegistry, error: type[Exception], match: str, wanted: str = "1"
) -> list[float]:
    async def body(repository: Repository) -> None:
        with pytest.raises(error, match=match):
            await repository.manifest(wanted)

    return with_repository(registry, body)


def test_a_manifest_is_fetched_by_tag_and_by_digest(registry: FakeRegistry) -> None:
    async def body(repository: Repository) -> None:
        fetched = await repository.manifest("1")
        assert fetched.data == MANIFEST
        assert fetched.descriptor.digest == digest_of(MANIFEST)
        assert fetched.descriptor.media_type == mediatype.OCI_MANIFEST
        assert await repository.manifest(fetched.descriptor.digest) == fetched
        assert await repository.resolve("1") == fetched.descriptor
        with pytest.raises(RegistryRefusal, match="manifest unknown"):
            await repository.manifest("2")

    with_repository(registry, body)


def put(registry: FakeRegistry, data: bytes, media_type: str = mediatype.OCI_MANIFEST) -> str:
    return registry.add_manifest("team/app", "1", data, media_type)


def test_a_manifest_of_other_bytes_than_its_digest_is_refused(registry: FakeRegistry) -> None:
    wanted = digest_of(MANIFEST)
    registry.state.manifests["team/app", wanted] = (mediatype.OCI_MANIFEST, MANIFEST + b" ")
    fails(registry, DataLoss, f"manifest verification failed for digest {wanted}", wanted)


def test_a_manifest_of_100_mb_is_refused_before_it_is_read(registry: FakeRegistry) -> None:
    def huge(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(100 << 20))
        handler.end_headers()
        return True

    registry.state.faults.append(huge)
    fails(registry, System, "has 104857600 bytes, more than 4194304")


def test_a_manifest_without_end_is_given_up(registry: FakeRegistry) -> None:
    def endless(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        return True

    registry.state.faults.append(endless)
    fails(registry, System, "has more than 4194304 bytes")


def test_html_instead_of_a_manifest_says_so(registry: FakeRegistry) -> None:
    put(registry, b"<html>Please log in to the hotel's network</html>", "text/html")
    fails(registry, System, "gave text/html instead of a manifest")


def test_a_document_that_is_not_what_its_registry_says_is_refused(registry: FakeRegistry) -> None:
    put(registry, json.dumps({"mediaType": mediatype.OCI_INDEX, "manifests": []}).encode())
    fails(registry, System, "says it is .*index.*, its registry says")


def test_schema_1_is_refused_with_a_hint(registry: FakeRegistry) -> None:
    put(registry, b'{"schemaVersion": 1, "fsLayers": []}', mediatype.DOCKER_MANIFEST_V1)
    fails(registry, InvalidParameter, "schema 1 support has been removed")


def test_server_errors_are_tried_again_and_then_reported(registry: FakeRegistry) -> None:
    def broken(handler: Handler) -> bool:
        handler.reply(500, b"<h1>oops</h1>")
        return True

    registry.state.faults.append(broken)
    pauses = fails(registry, RegistryRefusal, "received unexpected HTTP status: 500")
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_retry_after_is_obeyed(registry: FakeRegistry) -> None:
    answers = iter([429, 503])

    def limited(handler: Handler) -> bool:
        status = next(answers, None)
        if status is not None:
            handler.reply(status, b"", {"Retry-After": "7"})
        return status is not None

    async def body(repository: Repository) -> None:
        assert (await repository.manifest("1")).data == MANIFEST

    registry.state.faults.append(limited)
    assert with_repository(registry, body) == [7.0, 7.0]


def test_a_limit_of_hours_is_reported_at_once(registry: FakeRegistry) -> None:
    def limited(handler: Handler) -> bool:
        handler.refuse(429, "TOOMANYREQUESTS", "You have reached your limit", Retry_After="9999")
        return True

    registry.state.faults.append(limited)
    assert fails(registry, RegistryRefusal, "toomanyrequests: You have reached your limit") == []


def test_endless_redirects_are_given_up(registry: FakeRegistry) -> None:
    def circle(handler: Handler) -> bool:
        handler.reply(307, b"", {"Location": handler.path})
        return True

    registry.state.faults.append(circle)
    fails(registry, System, "stopped after 10 redirects")
    assert len(registry.state.seen) == 11


def test_a_connection_cut_in_the_middle_is_reported(registry: FakeRegistry) -> None:
    def cut(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.hang_up()
        return True

    registry.state.faults.append(cut)
    fails(registry, MoorageError, "closed the connection in the middle of the body|reset")


def test_garbage_instead_of_http_is_reported(registry: FakeRegistry) -> None:
    def garbage(handler: Handler) -> bool:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        handler.hang_up()
        return True

    registry.state.faults.append(garbage)
    fails(registry, System, "not an HTTP response")


def test_basic_authentication_only_after_a_challenge(registry: FakeRegistry) -> None:
    registry.state.basic = ("ann", "secret")

    async def body(repository: Repository) -> None:
        await repository.manifest("1")
        await repository.manifest("1")

    with_repository(registry, body, USER)
    sent = ["authorization" in s.headers for s in registry.state.seen]
    assert sent == [False, True, True]


def test_no_or_wrong_credentials(registry: FakeRegistry) -> None:
    registry.state.basic = ("ann", "other")
    fails(registry, Unauthorized, "no basic auth credentials")

    async def body(repository: Repository) -> None:
        with pytest.raises(RegistryRefusal, match="unauthorized: authentication required"):
            await repository.manifest("1")

    with_repository(registry, body, USER)


def test_a_token_is_asked_for_once_a_scope_and_again_when_it_has_expired(
    registry: FakeRegistry,
) -> None:
    asked: list[dict[str, list[str]]] = []

    def give(query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, dict[str, object]]:
        asked.append(query)
        assert headers["authorization"] == USER.basic()
        token = f"token{len(asked)}"
        registry.state.tokens = {token}
        return 200, {"access_token": token, "expires_in": 300}

    async def body(repository: Repository) -> None:
        await repository.manifest("1")
        await repository.manifest("1")
        registry.state.tokens = set()
        await repository.manifest("1")

    with token_server(give) as realm:
        registry.state.realm = realm
        with_repository(registry, body, USER)
    assert len(asked) == 2
    assert asked[0] == {
        "service": ["test"], "account": ["ann"], "scope": ["repository:team/app:pull"],
    }  # fmt: skip


def test_an_identity_token_is_exchanged_by_post(registry: FakeRegistry) -> None:
    def give(query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, dict[str, object]]:
        assert headers[":method"] == "POST"
        assert query["grant_type"] == ["refresh_token"]
        assert query["refresh_token"] == ["identity"]
        registry.state.tokens = {"t"}
        return 200, {"access_token": "t"}

    async def body(repository: Repository) -> None:
        await repository.manifest("1")

    with token_server(give) as realm:
        registry.state.realm = realm
        with_repository(registry, body, Credentials(identity_token="identity"))  # noqa: S106


def test_a_token_server_that_refuses_or_lies(registry: FakeRegistry) -> None:
    answers: list[tuple[int, dict[str, object]]] = [
        (401, {"details": "incorrect username or password"}),
        (200, {"token": ""}),
        (200, {"token": "a\r\nX-Evil: 1"}),
    ]

    async def body(repository: Repository) -> None:
        with pytest.raises(Unauthorized, match="unauthorized: incorrect username or password"):
            await repository.manifest("1")
        for _ in range(2):
            with pytest.raises(System, match="gave no token"):
                await repository.manifest("1")

    with token_server(lambda *_: answers.pop(0)) as realm:
        registry.state.realm = realm
        with_repository(registry, body, USER)


def test_i5_cve_2020_15157_a_redirect_to_another_host_gets_no_credentials(
    registry: FakeRegistry,
) -> None:
    registry.state.basic = ("ann", "secret")
    data = b"blob"
    with FakeRegistry() as storage:
        entry = storage.add_blob("x", data)

        def redirect(handler: Handler) -> bool:
            if "/blobs/" not in handler.path:
                return False
            url = f"http://{storage.host}/v2/x/blobs/{entry['digest']}"
            handler.reply(307, b"", {"Location": url})
            return True

        async def body(repository: Repository) -> None:
            await repository.manifest("1")  # authenticated from here on
            async with repository.blob(entry["digest"]) as (_, response):
                assert await response.read(100) == data

        registry.state.faults.append(redirect)
        with_repository(registry, body, USER)
        assert "authorization" in registry.state.seen[-1].headers
        assert "authorization" not in storage.state.seen[-1].headers


def test_tags_are_read_page_by_page(registry: FakeRegistry) -> None:
    for number in range(7):
        registry.add_manifest("team/app", f"t{number}", MANIFEST, mediatype.OCI_MANIFEST)
    registry.state.page = 3

    async def body(repository: Repository) -> None:
        assert await repository.tags() == ["1", *(f"t{number}" for number in range(7))]

    with_repository(registry, body)


def test_login_says_whether_credentials_are_right(registry: FakeRegistry) -> None:
    async def login(password: str) -> str:
        registries = Registries(RegistrySettings, user_agent="test")
        given = Credentials(username="ann", password=password, server_address=registry.host)
        try:
            return await registries.login(given)
        finally:
            await registries.close()

    registry.state.basic = ("ann", "secret")
    assert asyncio.run(login("secret")) == ""
    with pytest.raises(Unauthorized, match="unauthorized"):
        asyncio.run(login("wrong"))

    def give(query: dict[str, list[str]], _: dict[str, str]) -> tuple[int, dict[str, object]]:
        assert query["offline_token"] == ["true"]
        registry.state.tokens = {"t"}
        return 200, {"token": "t", "refresh_token": "identity"}

    registry.state.basic = None
    with token_server(give) as realm:
        registry.state.realm = realm
        assert asyncio.run(login("secret")) == "identity"


def test_i5_a_token_server_without_tls_is_asked_for_nothing(registry: FakeRegistry) -> None:
    """Of a registry that is spoken to by TLS: whoever is on the way would get the password."""

    async def work() -> None:
        transport = Transport(user_agent="test", proxies=RegistrySettings().proxies)
        endpoint = Endpoint(api="https://registry.example/v2", domain="registry.example")
        authorizer = Authorizer(transport, endpoint, USER)
        realm = f"http://{registry.host}/token"
        with pytest.raises(System, match="names a token server without TLS"):
            await authorizer.fetch_token(Challenge("bearer", {"realm": realm}), frozenset())
        await transport.close()

    asyncio.run(work())
    assert registry.state.seen == []


@pytest.mark.parametrize(
    ("server", "allowed"), [("", False), ("registry.example", False), ("mirror.example", True)]
)
def test_i5_a_mirror_sees_only_credentials_that_were_given_for_it(
    server: str, *, allowed: bool
) -> None:
    given = Credentials(username="ann", password="secret", server_address=server)  # noqa: S106
    mirror = Endpoint(api="https://mirror.example/v2", domain="registry.example", is_mirror=True)
    assert may_use(given, mirror) is allowed
    assert may_use(given, Endpoint(api="https://registry.example/v2", domain="registry.example"))


@pytest.mark.parametrize("scheme", ["http", "file", "ftp"])
def test_i8_a_registry_with_tls_leads_to_no_place_without(
    scheme: str, tmp_path: Path, registry: FakeRegistry
) -> None:
    server = Authority(tmp_path).sign("server", server=True)
    with FakeRegistry(certificate=(server.cert, server.key)) as secure:

        def lead_away(handler: Handler) -> bool:
            where = f"{scheme}://{registry.host}/v2/team/app/manifests/1"
            handler.reply(307, b"", {"Location": where})
            return True

        secure.state.faults.append(lead_away)

        async def work() -> None:
            transport = Transport(user_agent="test", proxies=RegistrySettings().proxies)
            endpoint = Endpoint(
                api=f"https://{secure.host}/v2", domain=secure.host, tls=TLS(verify=False)
            )
            request = Outgoing(method="GET", url=f"{endpoint.api}/team/app/manifests/1")
            with pytest.raises(System, match=f"refusing a redirect from HTTPS to {scheme}"):
                await transport.send(request, endpoint)
            await transport.close()

        asyncio.run(work())
    assert registry.state.seen == []


def test_a_registry_that_has_stored_something_else_is_not_believed(registry: FakeRegistry) -> None:
    def lie(handler: Handler) -> bool:
        if handler.command == "PUT":
            handler.reply(201, b"", {"Docker-Content-Digest": digest_of(b"other")})
        return handler.command == "PUT"

    async def body(repository: Repository) -> None:
        with pytest.raises(DataLoss, match=r"stored sha256:.* for sha256:"):
            await repository.put_manifest("1", mediatype.OCI_MANIFEST, MANIFEST)

    registry.state.faults.append(lie)
    with_repository(registry, body)


def test_a_blob_that_is_resumed_behind_what_we_have_is_refused(registry: FakeRegistry) -> None:
    def skip(handler: Handler) -> bool:
        handler.reply(206, b"789", {"Content-Range": "bytes 7-9/10"})
        return True

    async def body(repository: Repository) -> None:
        with pytest.raises(System, match="at the wrong place"):
            async with repository.blob(digests.of(b"0123456789"), offset=5):
                pytest.fail("there is a hole")

    registry.state.faults.append(skip)
    with_repository(registry, body)


def test_i4_a_configuration_without_end_is_given_up(registry: FakeRegistry) -> None:
    def endless(handler: Handler) -> bool:
        handler.reply(200, b"x" * ((4 << 20) + 1))
        return True

    async def body(repository: Repository) -> None:
        with pytest.raises(System, match="has more than 4194304 bytes"):
            await repository.config(digests.of(b"x"))

    registry.state.faults.append(endless)
    with_repository(registry, body)


def test_i5_the_next_page_of_tags_is_not_asked_for_elsewhere(registry: FakeRegistry) -> None:
    with FakeRegistry() as other:
        link = f'<http://{other.host}/v2/team/app/tags/list?n=1>; rel="next"'

        def lead_away(handler: Handler) -> bool:
            handler.reply(200, b'{"tags": ["1"]}', {"Link": link})
            return True

        async def body(repository: Repository) -> None:
            assert await repository.tags() == ["1"]

        registry.state.faults.append(lead_away)
        with_repository(registry, body)
        assert other.state.seen == []


@pytest.mark.parametrize("where", ["http://[x/", "http://a:99999/"])
def test_a_redirect_to_no_address_is_the_registrys_fault(
    registry: FakeRegistry, where: str
) -> None:
    def lead_nowhere(handler: Handler) -> bool:
        handler.reply(307, b"", {"Location": where})
        return True

    registry.state.faults.append(lead_nowhere)
    fails(registry, System, "127.0.0.1 names an address that is none")


@pytest.mark.parametrize("realm", ["http://[x/", "http://a:99999/"])
def test_a_token_server_without_address_is_the_registrys_fault(
    registry: FakeRegistry, realm: str
) -> None:
    def challenge(handler: Handler) -> bool:
        handler.reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}"'})
        return True

    registry.state.faults.append(challenge)
    fails(registry, System, "names an address that is none")
