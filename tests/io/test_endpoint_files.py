"""Endpoint files of one's own: what they may say, what is refused and on which line."""

from __future__ import annotations

import json
import os
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlscheck.core.model import Endpoint
from tlscheck.io import datafile
from tlscheck.io.catalog import load
from tlscheck.io.datafile import BadFile
from tlscheck.io.secret import masked, secret_in


def read(directory: Path, name: str, text: str | bytes) -> tuple[Endpoint, ...]:
    file = directory / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load([file])


def refusal(directory: Path, name: str, text: str | bytes) -> tuple[int, str]:
    """The line that is blamed, and what is said after it."""
    with pytest.raises(BadFile) as caught:
        read(directory, name, text)
    said = str(caught.value)
    start = f"{directory / name}:{caught.value.line}: "
    assert said.startswith(start)
    assert said.isprintable()
    return caught.value.line, said.removeprefix(start)


# --- what a file of one's own may say


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", '[[endpoint]]\nhost = "STS-fips.Example.com."\nport = 8443\n'),
        ("a.toml", 'endpoint = [{ host = "sts-fips.example.com", port = 8443 }]'),
        ("a.json", '[{"host": "sts-fips.example.com", "port": 8443}]'),
        ("a.json", '{"endpoint": [{"host": "sts-fips.example.com", "port": 8443}]}'),
        ("a.csv", "host,port\nsts-fips.example.com,8443\n"),
        ("a.CSV", "\ufeffhost,port\r\n\r\nsts-fips.example.com,8443\r\n"),
    ],
)
def test_a_host_is_all_that_is_needed(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, name, text) == (
        Endpoint(
            id="custom:sts-fips.example.com:8443",
            service="sts",
            partition="custom",
            region="-",
            variant="standard",
            host="sts-fips.example.com",
            port=8443,
            tier="custom",
        ),
    )


def test_the_three_formats_say_the_same(tmp_path: Path) -> None:
    toml = """\
[[endpoint]]
id = "x"
service = "sts"
partition = "aws"
region = "eu-west-1"
variant = "standard"
host = "vpce-0123456789abcdef0-abcdefgh.sts.eu-west-1.vpce.amazonaws.com"
tier = "custom"
opt_in = "no"
ip = "dualstack"
addresses = ["192.0.2.7", "2001:DB8::1", "2001:db8:0::1"]
server_name = "sts.eu-west-1.amazonaws.com"
deprecated = true
documented_in = ["a", "b, c"]
note = "nachts\\nüber"
"""
    row = {
        "id": "x",
        "service": "sts",
        "partition": "aws",
        "region": "eu-west-1",
        "variant": "standard",
        "host": "vpce-0123456789abcdef0-abcdefgh.sts.eu-west-1.vpce.amazonaws.com",
        "tier": "custom",
        "opt_in": "no",
        "ip": "dualstack",
        "addresses": ["192.0.2.7", "2001:DB8::1", "192.0.2.7"],
        "server_name": "sts.eu-west-1.amazonaws.com",
        "deprecated": True,
        "documented_in": ["a", "b, c"],
        "note": "nachts\nüber",
    }
    cells = [";".join(value) if isinstance(value, list) else str(value) for value in row.values()]
    table = ",".join(row) + "\n" + ",".join(f'"{cell}"' for cell in cells) + "\n"
    first = read(tmp_path, "a.toml", toml)
    assert first[0].addresses == ("192.0.2.7", "2001:db8::1")
    assert first == read(tmp_path, "a.json", json.dumps([row])) == read(tmp_path, "a.csv", table)


@pytest.mark.parametrize(
    ("host", "kept", "service"),
    [
        ("192.0.2.1", "192.0.2.1", "other"),
        ("[2001:DB8::1]", "2001:db8::1", "other"),
        ("localhost", "localhost", "other"),
        ("iam.us-gov.amazonaws.com", "iam.us-gov.amazonaws.com", "iam"),
        ("istanbul.example", "istanbul.example", "other"),
        ("a" * 63 + ".example", "a" * 63 + ".example", "other"),
    ],
)
def test_hosts_are_names_or_addresses(tmp_path: Path, host: str, kept: str, service: str) -> None:
    (row,) = read(tmp_path, "a.json", json.dumps([{"host": host}]))
    assert (row.host, row.service) == (kept, service)


def test_one_host_on_two_ports_is_two_endpoints(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.csv", "host,port\nx.example,443\nx.example,8443\n")
    assert [row.id for row in rows] == ["custom:x.example:443", "custom:x.example:8443"]


def test_an_alias_needs_no_tier(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.csv", "id,host,alias_of\na,x.example,\nb,x.example,a\n")
    assert [row.tier for row in rows] == ["custom", "alias"]


def test_an_alias_may_name_a_shipped_row(tmp_path: Path) -> None:
    text = "id,host,alias_of\nmine,iam.amazonaws.com,iam:aws:aws-global:global\n"
    assert read(tmp_path, "a.csv", text)[0].tier == "alias"


# --- what is refused, and on which line

FIELD_FAULTS: list[tuple[str, object, str]] = [
    ("prot", 443, 'unknown field "prot"; did you mean "port"?'),
    ("port", 0, "port is out of range"),
    ("port", 65536, "port is out of range"),
    ("port", "https", "port must be a whole number"),
    ("host", "https://x.example/", "host is a URL"),
    ("host", "x.example:443", "a port goes into the field port"),
    ("host", "bad_label.example", "is no host name"),
    ("host", "-x.example", "is no host name"),
    ("host", "x..example", "is no host name"),
    ("host", "a" * 64 + ".example", "is no host name"),
    ("host", "a." * 130 + "example", "is no host name"),
    ("host", "*.example", "is no host name"),
    ("host", "192.0.2.256", "neither an IPv4 address nor a host name"),
    ("host", "bücher.example", "xn--"),
    ("server_name", "x y", "server_name"),
    ("addresses", ["192.0.2.7", "not.an.address"], "addresses must be IPv4 or IPv6"),
    ("addresses", ["fe80::1%eth0"], "addresses must be IPv4 or IPv6"),
    ("tier", "documentde", "tier must be documented,"),
    ("opt_in", "maybe", "opt_in must be yes, no, unknown"),
    ("deprecated", "perhaps", "deprecated must be true or false"),
    ("alias_of", "nobody", 'no endpoint has the id "nobody"'),
    ("region", "eu west", "region must be"),
    ("note", "bell \a", "control character U+0007"),
    ("note", "turned \u202e", "control character U+202E"),
]


@pytest.mark.parametrize(("field", "value", "said"), FIELD_FAULTS)
def test_a_bad_field_is_found_on_its_line_in_json(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    row = {"description": "x"} | ({} if field == "host" else {"host": "b.example"})
    row |= {field: value}  # type: ignore[dict-item]
    text = json.dumps([{"host": "a.example", "note": "port: ]}"}, row], indent=1)
    wanted = next(n for n, line in enumerate(text.split("\n"), 1) if n > 4 and f'"{field}"' in line)
    line, why = refusal(tmp_path, "a.json", text)
    assert wanted <= line <= wanted + 2  # an item of a list has a line of its own
    assert said in why


@pytest.mark.parametrize(("field", "value", "said"), FIELD_FAULTS)
def test_a_bad_field_is_found_on_its_line_in_toml(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    text = '[[endpoint]]\nhost = "a.example"\nnote = """\n[[endpoint]]\nport = 1\n"""\n\n'
    text += "[[endpoint]] # the second\n"
    text += "" if field == "host" else 'host = "b.example"\n'
    text += f"# before\n{field} = {json.dumps(value)}\n"
    line, why = refusal(tmp_path, "a.toml", text)
    assert line == text.count("\n")
    assert said in why


@pytest.mark.parametrize(("field", "value", "said"), FIELD_FAULTS)
def test_a_bad_field_is_found_on_its_line_in_csv(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    cell = ";".join(value) if isinstance(value, list) else str(value)
    header = "description,host" if field == "host" else f"description,host,{field}"
    cells = f'"two\nlines",{cell}' if field == "host" else f'"two\nlines",b.example,{cell}'
    first = "x,a.example" + ("" if field == "host" else ",")
    line, why = refusal(tmp_path, "a.csv", f"{header}\n\n{first}\n{cells}\n")
    assert line == (1 if field == "prot" else 5)  # the header is to blame for a name
    assert said in why


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("a.toml", '[[endpoint]]\nhost = "a"\n\n[[endpoint]]\nport = 1\n', 4, "host is missing"),
        ("a.json", '[\n{"host": "a"},\n\n{"port": 1}]', 4, "host is missing"),
        ("a.csv", "host,port\na,1\n,2\n", 3, "host is missing"),
        ("a.csv", "port\n1\n", 1, "the header has no host"),
        ("a.toml", '[[endpoint]]\nhost = "a"\nhost = "b"\n', 3, "is not valid TOML"),
        ("a.toml", '[[endpoint]]\nhost = "a\n', 2, "is not valid TOML"),
        ("a.toml", "[[endpoint]]\nhost = [\n\n", 2, "is not valid TOML"),
        ("a.toml", f"[[endpoint]]\nhost = 'a'\nport = {'9' * 5000}\n", 3, "too long"),
        ("a.json", '[{"host": "a",\n}]', 2, "is not valid JSON"),
        ("a.json", f'[{{"host": "a",\n"port": {"9" * 5000}}}]', 2, "too long"),
        ("a.json", '[{"host": "a",\n\n"host": "b"}]', 3, '"host" is given twice'),
        ("a.json", '[{"host": "a", "port": NaN}]', 1, "is not valid JSON"),
        ("a.json", "3", 1, "must be a list of endpoints"),
        ("a.json", '[\n"a.example"]', 2, "an endpoint must be a table"),
        ("a.csv", "host,port\na,1\nb\n", 3, "has 1 cells where the header has 2"),
        ("a.csv", "host,host\na,b\n", 1, 'names "host" twice'),
        ("a.csv", 'host\na\n"b\n\n', 3, "is not valid CSV"),
        ("a.toml", '[[endpoint]]\nhost = "a"\nport = true\n', 3, "port must be a whole number"),
        ("a.toml", '[[endpoint]]\nhost = "a"\nnote = 3\n', 3, "note must be a string"),
        ("a.toml", '[[endpoint]]\nhost = "a"\naddresses = "::1"\n', 3, "must be a list of strings"),
        ("a.toml", 'endpoint = [\n {host = "a"},\n {host = "b", prt = 1}\n]', 3, '"port"?'),
        ("a.toml", '[[endpoint]]\nhost = "a"\n"no\\u0074es" = 1\n', 3, 'did you mean "note"?'),
        ("a.toml", '[[endpoint]]\nhost = "a"\nnote.x = 1\n', 3, "note must be a string"),
        ("a.toml", '[[endpoint]]\nhost = "a"\n[endpoint.note]\nx = 1\n', 3, "note must be"),
        ("a.toml", '[[endpoints]]\nhost = "a"\n', 1, 'did you mean "endpoint"?'),
        ("a.toml", '[endpoint]\nhost = "a"\n', 1, "write [[endpoint]]"),
        ("a.toml", '\n[source]\nnmae = "x"\n', 3, 'did you mean "name"?'),
        ("a.toml", '[[endpoint]]\nhost = "a"\ntier = "alias"\n', 3, "alias_of go together"),
        ("a.toml", "", 1, "holds no endpoint"),
        ("a.json", "[]", 1, "holds no endpoint"),
        ("a.csv", "", 1, "holds no endpoint"),
        ("a.csv", b"host\na\n\xff\n", 3, "is not UTF-8"),
        ("a.yaml", "host: a\n", 1, "unknown kind of file"),
        ("a.json", "[" * 100_000 + "]" * 100_000, 1, "deep"),
        ("a.toml", "a = " + "[" * 5000 + "]" * 5000, 1, "deep"),
        # json reads this; a table it is not, or our own walk through it is too deep.
        ("a.json", "[" * 900 + "]" * 900, 1, "table"),
    ],
)
def test_a_bad_file_is_blamed_on_the_right_line(
    tmp_path: Path, name: str, text: str | bytes, line: int, said: str
) -> None:
    found, why = refusal(tmp_path, name, text)
    assert said in why
    assert found == line


@pytest.mark.parametrize(
    ("name", "text", "line", "twin"),
    [
        ("a.toml", '[[endpoint]]\nhost = "a"\n[[endpoint]]\nport = 443\nhost = "A."\n', 5, 1),
        ("a.json", '[\n{"host": "a"},\n{"port": 443,\n"host": "A."}]', 4, 2),
        ("a.csv", "port,host\n,a\n443,A.\n", 3, 2),
    ],
)
def test_one_host_and_port_twice_is_refused_with_both_places(
    tmp_path: Path, name: str, text: str, line: int, twin: int
) -> None:
    found, why = refusal(tmp_path, name, text)
    assert found == line
    assert f"a port 443 is at {tmp_path / name}:{twin} already" in why
    assert 'alias_of = "custom:a:443"' in why


def test_one_id_twice_is_refused_across_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,host\nx,a\n")
    (tmp_path / "b.json").write_text('[{"host": "b",\n"id": "x"}]')
    with pytest.raises(BadFile) as caught:
        load([tmp_path / "a.csv", tmp_path / "b.json"])
    assert caught.value.line == 2
    assert f"at {tmp_path / 'a.csv'}:2 already" in str(caught.value)


def test_an_alias_of_another_host_or_of_an_alias_is_refused(tmp_path: Path) -> None:
    other = "id,host,alias_of\na,x.example,\nb,y.example,a\n"
    chain = "id,host,alias_of\na,x.example,\nb,x.example,a\nc,x.example,b\n"
    assert refusal(tmp_path, "a.csv", other)[0] == 3
    assert refusal(tmp_path, "a.csv", chain)[0] == 4


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (
        tmp_path / "missing.toml",
        tmp_path / "pipe.toml",
        tmp_path,
        tmp_path / "\0.toml",
        tmp_path / ("x" * 300 + ".toml"),
        tmp_path / "new\nline.toml",
    ):
        if path == tmp_path:
            (tmp_path / "pipe.toml").unlink()
        with pytest.raises(BadFile) as caught:
            load([path])
        assert str(caught.value).isprintable()


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    text = b"#" * (datafile.MAX_BYTES + 1)
    assert "larger than" in refusal(tmp_path, "a.toml", text)[1]


# --- secrets

SECRETS = [
    ("https://me:hunter2@x.example/", "a URL with a user name or password"),
    ("see https://me@x.example", "a URL with a user name or password"),
    ("role 123456789012 of ours", "an account number"),
    ("arn:aws:iam::123456789012:role/x", "an account number"),
    ("AKIA" + "Z7" * 8, "an access key id"),
    ("key=ASIA" + "Z7" * 8 + ".", "an access key id"),
]


@pytest.mark.parametrize(("text", "kind"), SECRETS)
def test_a_secret_is_named_by_kind(text: str, kind: str) -> None:
    assert secret_in(text) == kind


@pytest.mark.parametrize(
    "text", [text for text, _ in SECRETS] + ["k=" + "aB/2cDeFgH+JkLmNoPqR" * 2, "x me:pass@y"]
)
def test_what_a_server_says_is_masked(text: str) -> None:
    said = masked(text)
    assert "***" in said and secret_in(said.replace("***@", "")) is None
    for plain in (
        "max-age=315360000000; preload",
        "a.example:443@127.0.0.1",
        "give HOST[:PORT][@ADDRESS]",
        "[::1]:443@10.0.0.1",
        "/" + "work/x" * 8,
    ):
        assert masked(plain) == plain


@pytest.mark.parametrize(
    "text",
    [
        "vpce-0123456789abcdef0",
        "vpce-0123456789abcdef0-abcdefgh.sts.us-east-1.vpce.amazonaws.com",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/",
        "mail me@x.example",
        "1234567890123",
        "a123456789012",
        "AKIA is a prefix",
        "",
    ],
)
def test_what_is_no_secret_is_let_through(text: str) -> None:
    assert secret_in(text) is None


@pytest.mark.parametrize(("secret", "kind"), SECRETS)
@pytest.mark.parametrize("field", ["note", "host", "id", "documented_in", "alias_of", "made_up"])
@pytest.mark.parametrize("name", ["a.toml", "a.json", "a.csv"])
def test_a_secret_is_refused_and_never_repeated(
    tmp_path: Path, name: str, field: str, secret: str, kind: str
) -> None:
    row: dict[str, object] = {"host": "a.example", field: secret}
    if field == "documented_in":
        row[field] = [secret]
    if name == "a.csv":
        text = ",".join(row) + "\n" + ",".join(["a.example", secret][: len(row)]) + "\n"
        if field == "host":
            text = f"host\n{secret}\n"
        wanted = 2
    elif name == "a.json":
        text = "[\n{" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in row.items()) + "}]"
        wanted = 1 + len(row)
    else:
        text = "[[endpoint]]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in row.items())
        wanted = 1 + len(row)
    line, why = refusal(tmp_path, name, text)
    for part in ("hunter2", "me@", "123456789012", "Z7Z7"):
        assert part not in why
    if not (name == "a.csv" and field == "made_up"):
        assert kind in why
        assert field in why
        assert line == wanted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[endpoint]]\nhost = "a"\n# 123456789012\n', 3),
        ('[[endpoint]]\nhost = "a"\n"123456789012" = 1\n', 3),
        ('[[endpoint]]\nhost = "a"\nport = 123456789012\n', 3),
        ('[[endpoint]]\nhost = "a"\nnote = "\\u0031\\u00323456789012"\n', 3),
        ('[[endpoint]]\nhost = "a"\nport = 123_456_789_012\n', 3),
        ('[source]\nname = "123456789012"\n', 2),
    ],
)
def test_a_secret_is_found_wherever_it_hides(tmp_path: Path, text: str, line: int) -> None:
    found, why = refusal(tmp_path, "a.toml", text)
    assert found == line
    assert "an account number" in why
    assert "123456789012" not in why


def test_a_password_in_a_host_is_not_repeated(tmp_path: Path) -> None:
    line, why = refusal(tmp_path, "a.csv", "host\nme:hunter2@x.example\n")
    assert line == 2
    assert "hunter2" not in why


# --- whatever is in a file

PIECES = st.sampled_from(
    [
        "[[endpoint]]",
        "[source]",
        "[endpoint.x]",
        "host",
        "port",
        "note",
        " = ",
        '"a.example"',
        '"""',
        "'''",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        ".",
        ";",
        '"',
        "'",
        "#",
        "\n",
        "\r\n",
        "443",
        "1979-05-27 07:32:00",
        "123456789012",
        '[{"host": "a"}]',
        "\0",
        "\u202e",
        "null",
        "true",
        "1e999",
        *string.ascii_lowercase[:4],
    ]
)


@pytest.mark.parametrize("suffix", [".toml", ".json", ".csv"])
@given(
    data=st.one_of(
        st.binary(), st.text().map(str.encode), st.lists(PIECES).map("".join).map(str.encode)
    )
)
@example(data=b'[{"host": "\\ud800"}]')
@example(data=b'[[endpoint]]\nhost = "a"\nnote = """"a"""""\nport = 0')
@example(data=b"\xef\xbb\xbf")
@settings(max_examples=300)
def test_any_bytes_are_endpoints_or_a_bad_file(suffix: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "x" + suffix)
        file.write_bytes(data)
        try:
            rows = load([file])
        except BadFile as error:
            assert 1 <= error.line <= data.count(b"\n") + data.count(b"\r") + 1
            assert str(error).isprintable()
        else:
            assert all(row.host and 1 <= row.port <= 65535 for row in rows)
