"""The file ``web-config.yml``: TLS, headers and passwords, in the format of Prometheus' exporter-toolkit.

The same file serves node_exporter and Prometheus itself (Prometheus docs, "HTTPS and authentication"). What is wrong
is reported all at once. What the format knows and Python's TLS cannot do is refused rather than ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from replicator.api.problem import Problem
from replicator.config.problems import problems_of
from replicator.errors import ConfigError

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
Version = Literal["TLS12", "TLS13"]
Curve = Literal["CurveP256", "CurveP384", "CurveP521", "X25519"]

HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, with the values that are allowed (none named: any)."""

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
_HASH_ALLOWED = "a bcrypt hash, as `htpasswd -nBC 10 NAME` makes it"
_SECRET = ("basic_auth_users.", "tls_server_config.key", "tls_server_config.cert")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Tls(_Section):
    """The section ``tls_server_config``. Files are relative to the file that names them."""

    cert_file: str = ""
    key_file: str = ""
    cert: str = ""
    key: str = ""
    client_ca_file: str = ""
    client_ca: str = ""
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: list[str] = []
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: list[str] = []
    curve_preferences: list[Curve] = []
    prefer_server_cipher_suites: bool = True


class _Http(_Section):
    http2: bool = True
    headers: dict[str, str] = {}


class _File(_Section):
    tls_server_config: Tls | None = None
    http_server_config: _Http | None = None
    basic_auth_users: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says; the default is what holds without one. ``users``: bcrypt hashes by name."""

    path: Path | None = None
    tls: Tls | None = None
    headers: tuple[tuple[str, str], ...] = ()
    users: tuple[tuple[str, str], ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files on which it depends."""
        named = (self.tls.cert_file, self.tls.key_file, self.tls.client_ca_file) if self.tls else ()
        return tuple(path for path in (self.path, *(self.located(name) for name in named if name)) if path)

    def located(self, name: str) -> Path:
        """The place of a file that is named in it."""
        return self.path.parent / name if self.path else Path(name)


class WebConfigError(ConfigError):
    """All that is wrong with a web-config.yml; ``problems`` holds it one by one."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{path}: {len(problems)} wrong setting{'s' if len(problems) > 1 else ''}:{lines}", advice="")
        self.problems = problems


def read_web_config(path: Path) -> WebConfig:
    """Read and check a web configuration file.

    Raises:
        WebConfigError: a setting is wrong; it lists all wrong ones.
        ConfigError: the file cannot be read, or is no YAML.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"Could not read '{path}': {error.strerror}.", advice="Check exporter.web_config.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(f"'{path}' is not right YAML: {words}.", advice="Nothing was changed.") from error
    try:
        return _checked(path, {} if raw is None else raw)
    except RecursionError:
        raise ConfigError(f"'{path}' contains itself.", advice="Take the YAML alias out.") from None


class _Loader(yaml.SafeLoader):
    """As safe as its base; refuses a key that comes twice instead of taking the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """See yaml."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' comes twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _checked(path: Path, raw: object) -> WebConfig:
    try:
        found = _File.model_validate(raw)
    except ValidationError as error:
        raise WebConfigError(path, [_masked(problem) for problem in problems_of(error, _File)]) from None
    tls = found.tls_server_config if found.tls_server_config != Tls() else None
    headers = found.http_server_config.headers if found.http_server_config else {}
    users = found.basic_auth_users or {}
    problems = [*_tls_problems(tls), *_header_problems(headers), *_user_problems(users)]
    if problems:
        raise WebConfigError(path, problems)
    return WebConfig(path, tls, tuple(headers.items()), tuple(users.items()))


def _masked(problem: Problem) -> Problem:
    return replace(problem, value="...") if problem.key.startswith(_SECRET) else problem


def _tls_problems(tls: Tls | None) -> list[Problem]:
    if tls is None:
        return []

    def problem(key: str, value: object, allowed: str) -> Problem:
        return _masked(Problem(f"tls_server_config.{key}", repr(value), allowed))

    problems = []
    for name in ("cert", "key"):
        inline, file = getattr(tls, name), getattr(tls, f"{name}_file")
        if bool(inline) == bool(file):
            problems.append(problem(f"{name}_file", file, f"either {name}_file or {name} has to be given"))
    if tls.client_ca and tls.client_ca_file:
        problems.append(problem("client_ca_file", tls.client_ca_file, "client_ca is given already"))
    verifies, has_ca = tls.client_auth_type != "NoClientCert", bool(tls.client_ca or tls.client_ca_file)
    if verifies != has_ca:
        allowed = "with client_ca_file or client_ca it is VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        problems.append(problem("client_auth_type", tls.client_auth_type, f"{allowed}; without, NoClientCert"))
    if tls.client_allowed_sans and tls.client_auth_type != "RequireAndVerifyClientCert":
        allowed = "goes with client_auth_type RequireAndVerifyClientCert only"
        problems.append(problem("client_allowed_sans", tls.client_allowed_sans, allowed))
    if tls.min_version > tls.max_version:
        problems.append(problem("min_version", tls.min_version, f"at most max_version, {tls.max_version}"))
    unknown = [suite for suite in tls.cipher_suites if suite not in SUITES and suite not in SUITES_13]
    problems += [problem("cipher_suites", suite, f"one of {', '.join(SUITES)}") for suite in unknown]
    if tls.cipher_suites and not unknown and tls.min_version == "TLS12" and not set(tls.cipher_suites) & set(SUITES):
        problems.append(problem("cipher_suites", tls.cipher_suites, "one for TLS 1.2 too, or min_version: TLS13"))
    if len(tls.curve_preferences) > 1:
        allowed = "one curve, or none: Python's TLS cannot rank several"
        problems.append(problem("curve_preferences", tls.curve_preferences, allowed))
    return problems


def _header_problems(headers: Mapping[str, str]) -> list[Problem]:
    problems = []
    for name, value in headers.items():
        if name not in HEADERS:
            allowed = f"no header that may be set; those are {', '.join(HEADERS)}"
        elif HEADERS[name] and value not in HEADERS[name]:
            allowed = " or ".join(HEADERS[name])
        elif not value.isprintable():
            allowed = "one line"
        else:
            continue
        problems.append(Problem(f"http_server_config.headers.{name}", repr(value), allowed))
    return problems


def _user_problems(users: Mapping[str, str]) -> list[Problem]:
    wrong = [
        Problem(f"basic_auth_users.{n}", "...", _HASH_ALLOWED) for n, h in users.items() if not _BCRYPT.fullmatch(h)
    ]
    names = [name for name in users if ":" in name or not name.isprintable()]
    return wrong + [Problem("basic_auth_users", repr(name), "a name without colon, on one line") for name in names]


SUITES: Mapping[str, str] = {
    f"TLS_{exchange}_WITH_{cipher}": f"{prefix}{openssl}"
    for exchange, prefix in (("ECDHE_ECDSA", "ECDHE-ECDSA-"), ("ECDHE_RSA", "ECDHE-RSA-"), ("RSA", ""))
    for cipher, openssl in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
    if (exchange, cipher) != ("RSA", "CHACHA20_POLY1305_SHA256")
}
"""The suites of TLS 1.2 by the names of the format (IANA's), with what OpenSSL calls them."""

SUITES_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""The suites of TLS 1.3: accepted in the list, and always on, as with the toolkit."""
