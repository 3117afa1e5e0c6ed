"""Tables and columns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.cli.failure import CommandError
from moorage.cli.format import containers, disk, images, plainfields, stats, templated
from moorage.cli.format.listing import render
from moorage.cli.format.tabwriter import align
from moorage.cli.text import go_time, natural
from moorage.lib.gotext import quote

ANY = "0.0.0.0"
CONTAINER = {
    "Id": "8e0aab904939" + "0" * 52,
    "Names": ["/other/db", "/web"],
    "Image": "nginx:1@sha256:" + "a" * 64,
    "ImageID": "sha256:" + "b" * 64,
    "Command": 'sh -c "sleep 100000 and more"',
    "Created": 1_795_602_313,
    "Ports": [],
    "Labels": {"b": "2", "a": "<1>"},
    "State": "running",
    "Status": "Up 3 minutes",
    "Mounts": [{"Name": "a-very-long-volume-name", "Driver": "local"}, {"Source": "/x"}],
    "NetworkSettings": {"Networks": {"n1": {}, "n2": {}}},
}


def test_columns_end_where_a_line_has_no_tab() -> None:
    lines = ["A\tB\tC", "long first cell\tx\ty", "alone", "a\tb"]
    assert align(lines) == (
        "A                 B         C\nlong first cell   x         y\nalone\na         b\n"
    )


@given(
    st.lists(st.lists(st.text(alphabet="ab é", max_size=15), min_size=1, max_size=4), max_size=6)
)
def test_aligned_cells_keep_their_text(rows: list[list[str]]) -> None:
    out = align(["\t".join(row) for row in rows])
    assert out.count("\n") == len(rows)
    for row, line in zip(rows, out.split("\n"), strict=False):
        assert "".join(row).replace(" ", "") == line.replace(" ", "")


def test_a_row_of_ps_in_short_and_in_full() -> None:
    short = containers.ContainerRow(CONTAINER, truncate=True).plain()
    full = containers.ContainerRow(CONTAINER, truncate=False).plain()
    assert short["ID"] == "8e0aab904939"
    assert short["Names"] == "web"
    assert full["Names"] == "other/db,web"
    assert short["Image"] == "nginx:1"
    assert full["Image"] == CONTAINER["Image"]
    assert short["Command"] == '"sh -c \\"sleep 100000…"'
    assert short["Mounts"] == "a-very-long-vo…,/x"
    assert (short["LocalVolumes"], short["Networks"], short["Labels"]) == (
        "1",
        "n1,n2",
        "a=<1>,b=2",
    )


def test_formats() -> None:
    rows = [containers.ContainerRow(CONTAINER, truncate=True)]
    table = containers.TABLE
    assert render(rows, table, '{{.Names}}: {{.Label "a"}}') == "web: <1>\n"
    assert render(rows, table, r"table {{.ID}}\t{{.Names|upper}}") == (
        "CONTAINER ID   NAMES\n8e0aab904939   WEB\n"
    )
    assert render(rows, table, 'table {{.Label "com.example.foo"}}') == "foo\n\n"
    line = render(rows, table, "json")
    assert line.startswith('{"Command":')
    assert '"Labels":"a=\\u003c1\\u003e,b=2"' in line
    assert json.loads(line)["Names"] == "web"
    with pytest.raises(CommandError, match=r"can't evaluate field Foo in type \*formatter.Cont"):
        render(rows, table, "{{.Foo}}")
    with pytest.raises(CommandError, match="template parsing error: template: :1: unclosed"):
        render(rows, table, "{{.ID")


def port(inside: int, outside: int = 0, address: str = "", kind: str = "tcp") -> dict[str, object]:
    entry: dict[str, object] = {"PrivatePort": inside, "Type": kind}
    if address:
        entry |= {"IP": address, "PublicPort": outside}
    return entry


@pytest.mark.parametrize(
    ("published", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80), port(81), port(83)], "80-81/tcp, 83/tcp"),
        ([port(80, 8080, ANY)], "0.0.0.0:8080->80/tcp"),
        ([port(80, 8080, "::"), port(80, 8080, ANY)],
         "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([port(80, 80, ANY), port(81, 81, ANY), port(53, kind="udp")],
         "53/udp, 0.0.0.0:80-81->80-81/tcp"),
    ],
)  # fmt: skip
def test_ports(published: list[dict[str, object]], text: str) -> None:
    assert containers.ports(published) == text


def test_an_image_has_a_row_for_every_tag_and_digest() -> None:
    summary = {
        "Id": "sha256:" + "c" * 64,
        "RepoTags": ["a:1", "a:2", "localhost:5000/b:3"],
        "RepoDigests": ["a@sha256:1", "d@sha256:2"],
        "Created": 0,
        "Size": 1_234_567,
    }
    plain = images.rows([summary], truncate=True, digests=False)
    assert [(row.repository, row.tag) for row in plain] == [
        ("a", "1"), ("a", "2"), ("localhost:5000/b", "3"), ("d", "<none>"),
    ]  # fmt: skip
    digests = images.rows([summary], truncate=True, digests=True)
    assert [row.digest for row in digests] == ["sha256:1", "sha256:1", "<none>", "sha256:2"]
    bare = images.rows(
        [{**summary, "RepoTags": None, "RepoDigests": []}], truncate=True, digests=False
    )
    assert [(row.repository, row.tag) for row in bare] == [("<none>", "<none>")]
    assert plain[0].plain()["Size"] == "1.23MB"


def test_disk_usage_sums() -> None:
    usage = {
        "LayersSize": 100,
        "Images": [
            {"Containers": 1, "Size": 60, "SharedSize": 10},
            {"Containers": 0, "Size": 50, "SharedSize": 10},
        ],
        "Containers": [{"State": "running", "SizeRw": 5}, {"State": "exited", "SizeRw": 7}],
        "Volumes": [
            {"UsageData": {"Size": 9, "RefCount": 0}},
            {"UsageData": {"Size": -1, "RefCount": 1}},
        ],
        "BuildCache": [{"Size": 4, "InUse": False, "Shared": False}],
    }
    shown = [tuple(row.plain().values()) for row in disk.summary_rows(usage)]
    assert shown == [
        ("1", "50B (50%)", "100B", "2", "Images"),
        ("1", "7B (58%)", "12B", "2", "Containers"),
        ("1", "9B (100%)", "9B", "2", "Local Volumes"),
        ("0", "4B", "4B", "1", "Build Cache"),
    ]


def test_stats_arithmetic() -> None:
    reading = {
        "name": "/web",
        "id": "f" * 64,
        "cpu_stats": {
            "cpu_usage": {"total_usage": 300},
            "system_cpu_usage": 2000,
            "online_cpus": 2,
        },
        "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
        "memory_stats": {"usage": 3 << 20, "limit": 12 << 20, "stats": {"inactive_file": 1 << 20}},
        "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 2000}},
        "blkio_stats": {
            "io_service_bytes_recursive": [{"op": "Read", "value": 5}, {"op": "write", "value": 7}]
        },
        "pids_stats": {"current": 3},
    }
    row = stats.StatsRow("web", reading, truncate=True).plain()
    assert row["CPUPerc"] == "40.00%"
    assert row["MemUsage"] == "2MiB / 12MiB"
    assert row["MemPerc"] == "16.67%"
    assert row["NetIO"] == "1kB / 2kB"
    assert row["BlockIO"] == "5B / 7B"
    assert row["PIDs"] == "3"
    nothing = stats.StatsRow("web", None, truncate=True).plain()
    assert (nothing["CPUPerc"], nothing["MemUsage"]) == ("--", "-- / --")


def test_cells() -> None:
    assert quote('a"b\n\x01é') == '"a\\"b\\n\\x01é"'
    assert go_time(1_795_602_313_500_000_000, local=False) == "2026-11-25 10:25:13.5 +0000 UTC"
    assert sorted(["n10", "n2", "n1"], key=natural) == ["n1", "n2", "n10"]


_PIECES = st.sampled_from(
    [
        *("{{.ID}}", "{{ .Names }}", "{{.Status}}", "{{.Platform}}", "{{.Nope}}", "{{.Labels}}"),
        *("\\t", "\\n", " ", "x", "}}", "{", "{{-.ID}}", "{{.ID -}}", "{{.}}", "{{.Names.X}}"),
        *("table", "table ", "{{/* c */}}", "{{.ID", '{{"a"}}', "{{.Label}}", "{{\\t.ID}}", "é"),
    ]
)


@given(st.lists(_PIECES, max_size=6), st.integers(0, 2))
def test_templates_of_plain_columns_are_drawn_as_the_engine_draws_them(
    pieces: list[str], count: int
) -> None:
    rows = [containers.ContainerRow(CONTAINER, truncate=bool(n)) for n in range(count)]
    text = "".join(pieces)
    drawn = plainfields.render(rows, containers.TABLE, text)
    if drawn is not None:
        assert drawn == templated.render(rows, containers.TABLE, text)


@pytest.mark.parametrize("text", ["{{.ID}}", "table {{.Names}}\\t{{.Status}}", "{{ .ID }} x"])
def test_plain_columns_need_no_engine(text: str) -> None:
    rows = [containers.ContainerRow(CONTAINER, truncate=True)]
    assert plainfields.render(rows, containers.TABLE, text) is not None
