"""Private keys and certificates for TLS, without files that others could see."""

from __future__ import annotations

import os
import ssl


def load_pair(tls: ssl.SSLContext, private: bytes, certificate: bytes) -> None:
    """Use a key and its certificate, PEM, in each new handshake. OpenSSL reads them from a file,
    which is in memory alone. Raises SSLError if they do not fit.
    """
    file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(file, private + certificate)
        tls.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
