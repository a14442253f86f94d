"""The file web-config.yml: all that the format allows is read, and all errors are reported at once."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from exporter.plugin import ExporterPlugin
from exporter.tls import make_context
from exporter.web_config import SUITES, WebConfig, WebConfigError, read_web_config
from replicator.api.plugin import InspectingPlugin
from replicator.errors import ConfigError

HASH = "$2y$10$EYxs8IOG46m9CtpB/XlPxO1ei7E4BjAen0SUv6di7mD4keR/8JO6m"
FULL = f"""\
tls_server_config:
  cert_file: node.crt
  key_file: /etc/ssl/node.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example.org]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  curve_preferences: [X25519]
  prefer_server_cipher_suites: true
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
basic_auth_users:
  prometheus: {HASH}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web-config.yml"


def problems(path: Path, text: str) -> dict[str, str]:
    """What is said about a text, by key; nothing if it is right."""
    path.write_text(text)
    try:
        read_web_config(path)
    except WebConfigError as error:
        return {problem.key: f"{problem.value}: {problem.allowed}" for problem in error.problems}
    return {}


def test_all_that_the_format_knows_is_read(path: Path) -> None:
    path.write_text(FULL)

    config = read_web_config(path)

    assert config.users == (("prometheus", HASH),)
    assert dict(config.headers)["X-Frame-Options"] == "deny"
    assert config.tls is not None
    assert config.tls.client_allowed_sans == ["prometheus.example.org"]


def test_files_are_relative_to_the_file_that_names_them(path: Path) -> None:
    path.write_text(FULL)

    assert read_web_config(path).files == (
        path,
        path.parent / "node.crt",
        Path("/etc/ssl/node.key"),
        path.parent / "ca.crt",
    )


@pytest.mark.parametrize("text", ["", "tls_server_config:\n", "{}", "tls_server_config: {}\nbasic_auth_users:\n"])
def test_a_file_that_asks_for_nothing_is_right(path: Path, text: str) -> None:
    path.write_text(text)

    assert read_web_config(path) == WebConfig(path)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("tls_server_conf: {}", "tls_server_conf", "did you mean 'tls_server_config'"),
        ("rate_limit: {}", "rate_limit", "unknown key"),
        ("tls_server_config: {cert_fil: a}", "tls_server_config.cert_fil", "did you mean 'cert_file'"),
        ("tls_server_config: {key_file: a}", "tls_server_config.cert_file", "has to be given"),
        ("tls_server_config: {cert_file: a}", "tls_server_config.key_file", "has to be given"),
        ("tls_server_config: {min_version: TLS10}", "tls_server_config.min_version", "'TLS12' or 'TLS13'"),
        (
            "tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}",
            "tls_server_config.min_version",
            "at most max_version",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequestClientCert}",
            "tls_server_config.client_auth_type",
            "'NoClientCert'",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}",
            "tls_server_config.client_auth_type",
            "RequireAndVerifyClientCert",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_allowed_sans: [x]}",
            "tls_server_config.client_allowed_sans",
            "RequireAndVerifyClientCert",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}",
            "tls_server_config.cipher_suites",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, curve_preferences: [CurveP256, X25519]}",
            "tls_server_config.curve_preferences",
            "one curve",
        ),
        ("http_server_config: {headers: {Server: x}}", "http_server_config.headers.Server", "no header"),
        ("http_server_config: {headers: {X-Frame-Options: x}}", "http_server_config.headers.X-Frame-Options", "deny"),
        (
            'http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb: c"}}',
            "http_server_config.headers.X-XSS-Protection",
            "one line",
        ),
        ("basic_auth_users: {a: secret}", "basic_auth_users.a", "htpasswd"),
        (f"basic_auth_users: {{'a:b': {HASH}}}", "basic_auth_users", "without colon"),
        ("basic_auth_users: [a]", "basic_auth_users", "a table"),
        ("[]", "", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_is_allowed(path: Path, text: str, key: str, words: str) -> None:
    assert words in problems(path, text)[key]


def test_all_is_reported_at_once(path: Path) -> None:
    text = "basic_auth_users: {a: x, b: y}\ntls_server_config: {cert_file: a}\n"

    assert set(problems(path, text)) == {"basic_auth_users.a", "basic_auth_users.b", "tls_server_config.key_file"}


@pytest.mark.parametrize(
    "text", ["basic_auth_users: {a: hush}", "basic_auth_users: {a: [hush]}", "tls_server_config: {key: [hush]}"]
)
def test_no_secret_is_shown(path: Path, text: str) -> None:
    path.write_text(text)

    with pytest.raises(WebConfigError) as error:
        read_web_config(path)
    assert "hush" not in str(error.value)


def test_a_key_that_comes_twice_is_refused(path: Path) -> None:
    path.write_text(f"basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n")

    with pytest.raises(ConfigError, match="'a' comes twice"):
        read_web_config(path)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"!!python/object:os.system {}", b"a: b: c"])
def test_what_is_no_yaml_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="is not right YAML"):
        read_web_config(path)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"web-config\.yml': No such file"):
        read_web_config(path)


def test_a_wrong_file_is_found_by_config_check_and_keeps_no_daemon_from_starting(path: Path) -> None:
    path.write_text("tls_server_config: {cert_file: none.crt, key_file: none.key}\n")
    plugin, sections = ExporterPlugin(), {"exporter": {"web_config": str(path)}}

    (problem,) = plugin.inspect(sections)

    assert isinstance(plugin, InspectingPlugin)
    assert problem.key == "exporter.web_config"
    assert "none.crt" in problem.allowed
    assert plugin.check(sections) == []


@pytest.mark.parametrize("section", [None, {}, {"enabled": False, "web_config": "/none"}, {"listen": 1}])
def test_without_a_file_there_is_nothing_to_find(section: object) -> None:
    assert ExporterPlugin().inspect({"exporter": section}) == []


def test_every_suite_is_one_that_openssl_knows() -> None:
    for name in SUITES.values():
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(name)


def test_without_tls_there_is_no_context() -> None:
    assert make_context(WebConfig()) is None
