"""The name server's pure parts, with dnslib as the other side."""

import socket
import struct
from contextlib import suppress

import dnslib  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from moorage.networks.nameserver import message
from moorage.networks.nameserver.loop import Loop
from moorage.networks.nameserver.server import Connection, Sandbox, Server
from moorage.networks.nameserver.zones import View, Zone, resolve


def ask(name: str, kind: str = "A", *, edns: int = 0) -> message.Query:
    question = dnslib.DNSRecord.question(name, kind)
    if edns:
        question.add_ar(dnslib.EDNS0(udp_len=edns))
    query = message.parse_query(question.pack())
    assert query is not None
    return query


def zones() -> dict[str, Zone]:
    zone = Zone("Net")
    zone.set("c1", ["web", "www"], ["10.0.0.2", "fd00::2"])
    zone.set("c2", ["db", "www"], ["10.0.0.3"])
    return {"n1": zone}


def answers(raw: bytes) -> list[str]:
    return [str(r.rdata) for r in dnslib.DNSRecord.parse(raw).rr]


VIEW = View(["n1"], {"n1": {"store": "db"}}, ["10.0.0.1"])


def test_names_in_every_form() -> None:
    for name, want in {
        "web": ["10.0.0.2"],
        "WEB.": ["10.0.0.2"],
        "web.net": ["10.0.0.2"],
        "store": ["10.0.0.3"],
        "host.docker.internal": ["10.0.0.1"],
    }.items():
        turns = resolve(VIEW, zones(), ask(name))
        assert turns is not None
        assert answers(turns[0]) == want, name


def test_every_turn_of_an_alias_begins_with_another_address() -> None:
    turns = resolve(VIEW, zones(), ask("www"))
    assert turns is not None
    assert [answers(t)[0] for t in turns] == ["10.0.0.2", "10.0.0.3"]


def test_a_known_name_without_the_kind_asked_for_is_an_empty_answer() -> None:
    for kind in ("AAAA", "MX", "TXT", "SRV", "SOA"):
        turns = resolve(VIEW, zones(), ask("db", kind))
        assert turns is not None, kind
        parsed = dnslib.DNSRecord.parse(turns[0])
        assert (parsed.header.rcode, len(parsed.rr)) == (0, 0)


def test_what_is_not_known_is_not_ours_to_answer() -> None:
    assert resolve(VIEW, zones(), ask("example.com")) is None
    assert resolve(View(["other"], {}, []), zones(), ask("web")) is None
    assert resolve(VIEW, zones(), ask("9.0.0.10.in-addr.arpa", "PTR")) is None


def test_reverse_look_ups() -> None:
    for name in ("2.0.0.10.in-addr.arpa", "2." + "0." * 29 + "d.f.ip6.arpa"):
        turns = resolve(VIEW, zones(), ask(name, "PTR"))
        assert turns is not None
        assert answers(turns[0]) == ["web.net."]


def test_a_container_that_leaves_takes_its_names_along() -> None:
    held = zones()
    held["n1"].drop("c1")
    assert resolve(VIEW, held, ask("web")) is None
    turns = resolve(VIEW, held, ask("www"))
    assert turns is not None
    assert answers(turns[0]) == ["10.0.0.3"]


def test_answers_fit_their_size_and_say_when_they_were_cut() -> None:
    zone = Zone("n")
    for number in range(200):
        zone.set(f"c{number}", ["many"], [f"10.1.{number >> 8}.{number & 255}"])
    for edns, limit in ((0, 512), (4096, 1232), (100, 512)):
        turns = resolve(View(["n"], {}, []), {"n": zone}, ask("many", edns=edns))
        assert turns is not None
        assert len(turns[0]) <= limit
        parsed = dnslib.DNSRecord.parse(turns[0])
        assert parsed.header.tc == 1
        assert len(parsed.ar) == (1 if edns else 0)


def test_errors_are_answered_in_kind() -> None:
    question = dnslib.DNSRecord.question("x")
    question.header.opcode = 4
    query = message.parse_query(question.pack())
    assert query is not None
    assert query.error == message.NOTIMP
    old = dnslib.DNSRecord.question("x")
    old.add_ar(dnslib.EDNS0(version=1))
    query = message.parse_query(old.pack())
    assert query is not None
    assert query.error == message.BADVERS
    assert dnslib.DNSRecord.parse(message.answer(query, query.error)).header.rcode == 0
    assert message.parse_query(dnslib.DNSRecord.question("x").reply().pack()) is None


@given(st.binary(max_size=600))
def test_no_datagram_makes_it_fail(noise: bytes) -> None:
    query = message.parse_query(noise)
    if query is not None:
        for turn in resolve(VIEW, zones(), query) or []:
            assert len(turn) <= query.size
        assert message.answer(query, query.error or message.SERVFAIL)[:2] == noise[:2]


@given(st.text(max_size=300))
def test_any_name_is_packed_to_something_readable(name: str) -> None:
    packed = message.pack_name(name)
    assert packed[-1] == 0
    assert len(packed) <= 255


def test_a_client_that_reads_no_answers_is_not_heard_on() -> None:
    """It would fill the memory of the program that serves all containers."""
    server = Server(Loop())
    server.zones = zones()
    mine, client = socket.socketpair()
    with mine, client, socket.socket() as udp, socket.socket() as tcp:
        mine.settimeout(0)
        client.settimeout(0)
        sandbox, connection = Sandbox(udp, tcp, -1), Connection(mine)
        sandbox.view = VIEW
        sandbox.connections.add(connection)
        server._watch(sandbox, connection)  # noqa: SLF001
        query = dnslib.DNSRecord.question("www").pack()
        asked, number = struct.pack("!H", len(query)) + query, 15_000
        unasked, received, most = asked * number, 0, 0
        for _ in range(1000):
            with suppress(BlockingIOError):
                unasked = unasked[client.send(unasked[:4096]) :]
            server.loop.turn(0)
            most = max(most, len(connection.unsent))
        assert most < 1 << 17
        wanted = number * (2 + len(answer_of(query)))
        while received < wanted:  # it is again, once it reads
            with suppress(BlockingIOError):
                unasked = unasked[client.send(unasked[:4096]) :] if unasked else b""
            with suppress(BlockingIOError):
                received += len(client.recv(1 << 20))
            server.loop.turn(0)
        assert not unasked


def answer_of(query: bytes) -> bytes:
    parsed = message.parse_query(query)
    assert parsed is not None
    turns = resolve(VIEW, zones(), parsed)
    assert turns is not None
    return turns[0]
