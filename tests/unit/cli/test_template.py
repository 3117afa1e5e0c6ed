"""Go templates as people write them; expected texts were taken from the docker CLI."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.cli.template.errors import ExecuteError, ParseError
from moorage.cli.template.printing import printf
from moorage.cli.template.template import Template
from moorage.cli.template.values import dress

CONTAINER: dict[str, Any] = {
    "Id": "abc",
    "Name": "/web",
    "Args": ["100"],
    "State": {"Status": "running", "Running": True, "Pid": 12, "Error": ""},
    "Mounts": [],
    "Config": {
        "Env": ["A=1", "B=2"],
        "Cmd": None,
        "Labels": {"x": "y", "com.example.a": "b"},
        "ExposedPorts": {"80/tcp": {}},
    },
    "HostConfig": {
        "Binds": None,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {}},
        "PidsLimit": None,
    },
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
        "Networks": {"b": {"IPAddress": "10.0.0.2"}, "a": {"IPAddress": "10.0.0.1"}},
    },
}


def render(text: str, value: object = None) -> str:
    return Template(text).render(dress(CONTAINER if value is None else value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.Name}}", "/web"),
        ("{{.ID}}", "abc"),
        ("{{.State.Running}} {{.State.Pid}}", "true 12"),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{json .State}}", '{"Status":"running","Running":true,"Pid":12,"Error":""}'),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}", "A=1,B=2"),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}",
         "a=10.0.0.1 b=10.0.0.2 "),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ('{{index .Config.Labels "com.example.a"}}', "b"),
        ('{{index .Config.Labels "missing"}}', ""),
        ("{{.Config.Labels.missing}}", "<no value>"),
        ("{{.Config.Cmd}} {{.HostConfig.Binds}} {{.HostConfig.PidsLimit}}", "[] [] <nil>"),
        ("{{.State}}", "{running true 12  <nil>}"),
        ("{{.State.Health}}", "<nil>"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{with .State.Health}}{{.Status}}{{else}}none{{end}}", "none"),
        ("{{.Config.ExposedPorts}}", "map[80/tcp:{}]"),
        ("{{.NetworkSettings.Ports}}", "map[80/tcp:[{0.0.0.0 8080}]]"),
        ("{{.HostConfig.RestartPolicy}} {{.HostConfig.LogConfig}}", "{no 0} {json-file map[]}"),
        ("{{len .Args}}{{len .Name}}", "14"),
        ('{{join .Config.Env ", "}}', "A=1, B=2"),
        ('{{index (split "a/b" "/") 1}}', "b"),
        ('{{.Name | upper | printf "%s!"}}', "/WEB!"),
        ("{{slice .Id 0 2}}{{slice .Id 2}}", "abc"),
        ('{{printf "%-5s|%5d|%q|%05.2f|%x" .Id .State.Pid .Id 1.5 "hi"}}',
         'abc  |   12|"abc"|01.50|6869'),
        ('{{$x := .Id}}{{$x}}{{$x = "z"}}{{$x}}', "abcz"),
        ("{{if and .State.Running (eq .State.Pid 12)}}y{{end}}", "y"),
        ('{{if or (eq .Id "x" "abc") .Nope}}y{{end}}', "y"),
        ("{{if not .Mounts}}empty{{else if .Args}}x{{end}}", "empty"),
        ("{{if gt .State.Pid 10}}gt{{end}}{{if le 1 1}}le{{end}}{{if ne 1 2}}ne{{end}}", "gtlene"),
        ("a {{- .Id -}} b", "aabcb"),
        ("{{/* nothing */}}x{{- /* less */ -}}  y", "xy"),
        ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
        ('{{range .Config.Env}}{{if eq . "A=1"}}{{continue}}{{end}}{{.}}{{break}}{{end}}', "B=2"),
        ('{{title "hello big-world"}}{{lower "ABC"}}', "Hello Big-Worldabc"),
        ('{{pad "x" 1 2}}|{{truncate "abcdef" 3}}', " x  |abc"),
        ("{{`raw \\n`}}{{\"tab\\there\"}}{{'a'}}", "raw \\ntab\there97"),
        ('{{1.5}} {{0x10}} {{true}} {{print 1 2 "a" 3}}', "1.5 16 true 1 2a3"),
        ('{{html "<a>"}}', "&lt;a&gt;"),
        ("{{with $y := .Args}}{{index $y 0}}{{end}}", "100"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{$.Id}}{{range .Args}}{{$.Name}}{{end}}", "abc/web"),
        ('{{define "T"}}<{{.}}{{$}}>{{end}}{{template "T" .Id}}', "<abcabc>"),
        ('{{template "T"}}{{define "T"}}<{{.}}>{{end}}', "<<no value>>"),
        ('{{block "B" .Name}}[{{.}}]{{end}}', "[/web]"),
        ("{{.Config.Labels.missing.x}}", "<no value>"),
        ("{{.Name |}}", "/web"),
        ("{{123456789.0}} {{1e-7}} {{123456.5}}", "1.23456789e+08 1e-07 123456.5"),
        ("{{js `<a>'\"=` }}", "\\u003Ca\\u003E\\'\\\"\\u003D"),
    ],
)  # fmt: skip
def test_a_template_prints_what_docker_prints(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.ID", "template: :1: unclosed action"),
        ("{{foo}}", 'template: :1: function "foo" not defined'),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{if .A}}x", "template: :1: unexpected EOF"),
        ("{{if}}x{{end}}", "template: :1: missing value for if"),
        ("{{}}", "template: :1: missing value for command"),
        ("{{.A || .B}}", 'template: :1: unexpected "|" in command'),
        ("{{(.A}}", "template: :1: unclosed left paren"),
        ("{{.A)}}", "template: :1: unexpected right paren"),
        ("{{.A}", "template: :1: bad character U+007D '}'"),
        ("{{.", 'template: :1: illegal number syntax: "."'),
        ("{{@}}", 'template: :1: unexpected "@" in command'),
        ("{{if .A}}{{else}}{{else}}{{end}}", "template: :1: expected end; found {{else}}"),
        ("{{range $x, $y, $z := .A}}{{end}}", "template: :1: too many declarations in range"),
        ("\n{{$x}}", 'template: :2: undefined variable "$x"'),
        ('{{"abc}}', "template: :1: unterminated quoted string"),
        ("{{/* a}}", "template: :1: unclosed comment"),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ("{{template}}", 'template: :1: unexpected "}}" in template clause'),
        ("{{define x}}{{end}}", 'template: :1: unexpected "x" in define clause'),
        ('{{define "x"}}', "template: :1: unexpected EOF"),
        ('{{if 1}}{{define "x"}}{{end}}{{end}}', "template: :1: unexpected <define> in command"),
    ],
)
def test_a_malformed_template_is_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(ParseError) as refused:
        Template(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Foo}}", '<.Foo>: map has no entry for key "Foo"'),
        ("{{.State.Health.Status}}", '<.State.Health.Status>: map has no entry for key "Health"'),
        ("{{index .Args 9}}", "<index .Args 9>: error calling index: index out of range: 9"),
        ("{{len 3}}", "<len 3>: error calling len: len of type int"),
        ('{{eq 1 "a"}}', '<eq 1 "a">: error calling eq: incompatible types for comparison'),
        ("{{.Id.Foo}}", "<.Id.Foo>: can't evaluate field Foo in type interface {}"),
        ("{{eq 1 1.0}}", "<eq 1 1.0>: error calling eq: incompatible types for comparison"),
        ("{{upper 3}}", "<3>: expected string; found 3"),
        ("{{upper .State.Pid}}", "<.State.Pid>: wrong type for value; expected string; got int"),
        ("{{eq}}", "<eq>: wrong number of args for eq: want at least 1 got 0"),
        ("{{nil}}", "<nil>: nil is not a command"),
        ("{{$x = 1}}", "<1>: undefined variable: $x"),
        ("{{.Name .Id}}", "<.Name>: Name is not a method but has arguments"),
        ('{{template "x"}}', '<{{template "x"}}>: template "x" not defined'),
        (
            '{{define "x"}}{{template "x"}}{{end}}{{template "x"}}',
            '<{{template "x"}}>: exceeded maximum template depth (100)',
        ),
        ("{{range .Id}}x{{end}}", "<.Id>: range can't iterate over abc"),
        ("{{join .Args}}", "<join>: wrong number of args for join: want 2 got 1"),
        ('{{join .Id "-"}}', "<.Id>: wrong type for value; expected []string; got string"),
        ('{{range $i, $c := "abc"}}{{end}}', '<"abc">: range can\'t iterate over abc'),
    ],
)
def test_a_template_that_does_not_fit_says_where(text: str, message: str) -> None:
    with pytest.raises(ExecuteError) as refused:
        render(text)
    assert str(refused.value).startswith("template: :1:")
    assert str(refused.value).endswith(message)


def test_the_place_of_an_error_is_counted_as_go_counts() -> None:
    with pytest.raises(ExecuteError, match=r"^template: :1:8: executing"):
        render("{{.State.Health.Status}}")


@pytest.mark.parametrize(
    ("pattern", "values", "expected"),
    [
        ("%d%%", (5,), "5%"),
        ("%5.1f|%-6d|%+d|%06d", (3.14159, 7, 7, 42), "  3.1|7     |+7|000042"),
        ("%v %v", ([1, "a"], True), "[1 a] true"),
        ("%s", (5,), "%!s(int=5)"),
        ("%d", ("x",), "%!d(string=x)"),
        ("%d", (), "%!d(MISSING)"),
        ("x", (1,), "x%!(EXTRA int=1)"),
        ("%*d", (4, 7), "   7"),
        ("%T %T", ("a", 1.5), "string float64"),
        ("%q", ('a"b',), '"a\\"b"'),
        ("%[2]s %[1]s", ("a", "b"), "b a"),
        ("%[5]d", (1,), "%!d(BADINDEX)"),
        ("%#v %#o %+q %G", ("s", 8, "hé", 1e10), '"s" 010 "h\\u00e9" 1E+10'),
        ("%t %c %U", (True, 65, 65), "true A U+0041"),
        ("%6.3v|%.1v", (3.14159, 250.0), "  3.14|2e+02"),
        ("% x|% X", ("abc", "hi"), "61 62 63|68 69"),
        ("%#q %#q", ("x", "a`b"), '`x` "a`b"'),
        ("%+v", ({"Name": "no", "Count": 0},), "{Name:no Count:0}"),
    ],
)
def test_printf(pattern: str, values: tuple[object, ...], expected: str) -> None:
    assert printf(pattern, *values) == expected


@given(st.text())
def test_any_text_is_a_template_or_a_parse_error(text: str) -> None:
    with contextlib.suppress(ParseError):
        Template(text)


@given(st.text(alphabet='{}.$|()=:"` abi12-/*rangefdwth', max_size=40))
def test_template_like_text_is_a_template_or_an_error(text: str) -> None:
    with contextlib.suppress(ParseError, ExecuteError):
        render(text)


@given(st.text(alphabet=st.characters(exclude_characters="{"), max_size=30))
def test_text_without_actions_is_itself(text: str) -> None:
    assert render(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{title "o\'neil mc-donald x_y \u01c6"}}', "O'Neil Mc-Donald X_y \u01c5"),
        ('{{truncate "é€x" 2}}{{truncate "abc" 9}}', "éabc"),
        ('{{join nil ","}}|{{join (split "a b" " ") "+"}}', "|a+b"),
        ("{{.Manifests}}{{.VirtualSize}}", "[]0"),
    ],
)
def test_functions_do_what_dockers_do(text: str, expected: str) -> None:
    assert render(text) == expected
