"""Build the SSL context from the TLS section of a web-config.yml."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.web_config import SUITES, Tls, WebConfig
from replicator.errors import ConfigError

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


def make_context(config: WebConfig) -> ssl.SSLContext | None:
    """The context of a configuration; None if it asks for no TLS. Reads the files that it names.

    Raises:
        ConfigError: certificate, key or CA cannot be read, or do not belong together.
    """
    tls = config.tls
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    suites = [SUITES[suite] for suite in tls.cipher_suites if suite in SUITES]
    if suites:
        context.set_ciphers(":".join(suites))
    for curve in tls.curve_preferences:
        context.set_ecdh_curve(_CURVES[curve])
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _load(context, config, tls)
    return context


def _load(context: ssl.SSLContext, config: WebConfig, tls: Tls) -> None:
    try:
        with _file(config, tls.cert_file, tls.cert) as cert, _file(config, tls.key_file, tls.key) as key:
            # A key with a passphrase is refused: there is no terminal to type it.
            context.load_cert_chain(cert, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        what = f"certificate {tls.cert_file or '(inline)'} and key {tls.key_file or '(inline)'}"
        raise _unusable(config, what, error) from error
    if tls.client_auth_type == "NoClientCert":
        return
    try:
        if tls.client_ca_file:
            context.load_verify_locations(cafile=config.located(tls.client_ca_file))
        else:
            context.load_verify_locations(cadata=tls.client_ca)
    except (OSError, ValueError) as error:
        raise _unusable(config, f"client CA {tls.client_ca_file or '(inline)'}", error) from error
    context.verify_mode = _VERIFY[tls.client_auth_type]


def _unusable(config: WebConfig, what: str, error: Exception) -> ConfigError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return ConfigError(f"{config.path}: tls_server_config: {what} cannot be used: {reason}.")


def _no_passphrase() -> str:
    raise ValueError("the key asks for a passphrase")


@contextmanager
def _file(config: WebConfig, name: str, text: str) -> Iterator[Path]:
    """A file that OpenSSL can open: the one that is named, or the text in memory, never on a disk."""
    if name:
        yield config.located(name)
        return
    descriptor = os.memfd_create("web-config")
    try:
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
            file.write(text)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
