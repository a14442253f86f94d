"""When the certificates that the exporter presents begin and end."""

from __future__ import annotations

import logging

from cryptography import x509

from exporter.web_config import WebConfig
from replicator.api.certificate import Certificate

_log = logging.getLogger("zsr.exporter")


def certificates(config: WebConfig) -> tuple[Certificate, ...]:
    """The certificate of a configuration with those of its chain, as one; none without TLS. Reads the file.

    One whose period cannot be read is logged and left out: TLS may understand what this does not.
    """
    tls = config.tls
    if tls is None:
        return ()
    path = config.located(tls.cert_file) if tls.cert_file else config.path
    try:
        pem = path.read_bytes() if tls.cert_file and path else tls.cert.encode()
        found = x509.load_pem_x509_certificates(pem)
    except (OSError, ValueError) as error:
        _log.warning("When the certificate '%s' ends is not known: %s", path, error)
        return ()
    begin = max(each.not_valid_before_utc.timestamp() for each in found)
    return (Certificate(str(path), begin, min(each.not_valid_after_utc.timestamp() for each in found)),)
