"""Somebody who checks cards with what everybody has: OpenSSL, and curl for lists."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

SECONDS = 60.0
GOOD = "good"


@dataclass
class RelyingParty:
    """Keeps what it fetches in a folder, and knows a card by its certificates, as they are
    exported: 9A.pem, 9C.pem, ca.pem.
    """

    folder: Path
    certificates: Path  # a folder there
    key: str = "9A"
    clock: Mapping[str, str] = field(default_factory=dict)  # variables of its programs

    def run(self, *command: str | Path) -> str:
        """What a program says. It must succeed."""
        done = self._ran(*command)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def _ran(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*map(str, command)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
            env={**os.environ, **self.clock},
        )

    @property
    def path(self) -> Path:
        """Where the certificate is that is checked."""
        return self.folder / self.certificates / f"{self.key}.pem"

    @property
    def authority(self) -> Path:
        return self.folder / self.certificates / "ca.pem"

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.path.read_bytes())

    def answered(self) -> str:
        """What `openssl ocsp` says of the certificate: good, or why it is revoked."""
        url = self.run("openssl", "x509", "-in", self.path, "-noout", "-ocsp_uri").strip()
        ask = ["openssl", "ocsp", "-issuer", self.authority, "-CAfile", self.authority]
        ask += ["-cert", self.path, "-url", url]
        said = self.run(*ask) + self.run(*ask, "-no_nonce")
        assert said.count("Response verify OK") == 2
        [state, again] = re.findall(rf"^{re.escape(str(self.path))}: (\w+)$", said, re.MULTILINE)
        reasons = re.findall(r"Reason: (\w+)", said)
        assert state == again
        return reasons[0] if reasons else state

    def fetch(self) -> int:
        """Fetch the list with curl; returns its number."""
        self.run("curl", "-sSf", "-o", "cards.crl", self.list_url)
        return self.number

    def listed(self, since: int) -> str:
        """What the first list from this number on says."""
        deadline = time.monotonic() + SECONDS
        while self.fetch() < since:
            assert time.monotonic() < deadline, "no list was signed"
            time.sleep(0.2)  # the next list takes a second or two
        verify = ["openssl", "verify", "-crl_check", "-CAfile", self.authority]
        checked = self._ran(*verify, "-CRLfile", "cards.crl", self.path)
        said = self.run("openssl", "crl", "-in", "cards.crl", "-inform", "DER", "-noout", "-text")
        number = self.certificate.serial_number
        serial = number.to_bytes(-(-number.bit_length() // 8)).hex().upper()  # as OpenSSL prints it
        entry = re.search(rf"Serial Number: {serial}\n(?:(?!Serial).*\n)*", said)
        assert ("certificate revoked" in checked.stdout) == (checked.returncode != 0)
        assert (entry is not None) == (checked.returncode != 0), said
        if entry is None:
            return GOOD
        reason = re.search(r"CRL Reason Code: *\n *(.+)", entry[0])
        return "revoked" if reason is None else reason[1]

    @property
    def list_url(self) -> str:
        """Where the certificate says that the list is."""
        points = self.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
        [point] = points.value
        assert point.full_name is not None
        return str(point.full_name[0].value)

    @property
    def number(self) -> int:
        """That of the list that was fetched."""
        found = x509.load_der_x509_crl((self.folder / "cards.crl").read_bytes())
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
