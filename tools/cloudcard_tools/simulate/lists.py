"""Authorities of cards and their revocation lists, from files and addresses."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from cloudcard_tools.simulate import outgoing
from cloudcard_tools.simulate.cards import ListMissing
from cloudcard_tools.simulate.outgoing import CallRefused

MOST_BYTES = 64 << 20
PEM = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class Lists:
    """Reads revocation lists anew for each card: they change."""

    places: Sequence[str]
    tls: ssl.SSLContext

    def read(self) -> Sequence[x509.CertificateRevocationList]:
        """All lists. Raises ListMissing."""
        return [self._list(place) for place in self.places]

    def _list(self, place: str) -> x509.CertificateRevocationList:
        try:
            if place.startswith(("http://", "https://")):
                content = outgoing.get(place, self.tls)
            else:
                with Path(place).open("rb") as file:
                    content = file.read(MOST_BYTES)
            if content.startswith(PEM):
                return x509.load_pem_x509_crl(content)
            return x509.load_der_x509_crl(content)
        except (OSError, CallRefused) as error:
            raise ListMissing(str(error)) from None
        except ValueError:
            raise ListMissing(f"{place} is no revocation list") from None


def authorities(files: Sequence[Path]) -> list[x509.Certificate]:
    """The certificates of files, PEM; raises OSError and ValueError."""
    return [each for path in files for each in x509.load_pem_x509_certificates(path.read_bytes())]
