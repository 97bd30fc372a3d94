"""Certification authorities outside of the keystore: by the openssl command, or in this process."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.pki.building import ca
from cloud_keystore.pki.issuers import Authority

CONFIGURATION = """
[ca]
default_ca = own
[own]
dir = {folder}
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
crlnumber = {folder}/crlnumber
certificate = {folder}/{name}.pem
private_key = {folder}/{name}.key
default_md = sha256
default_days = {days}
policy = any
copy_extensions = copyall
unique_subject = no
email_in_dn = no
x509_extensions = {extensions}
[any]
commonName = optional
serialNumber = optional
organizationalUnitName = optional
[leaf]
basicConstraints = critical,CA:FALSE
authorityKeyIdentifier = keyid
[authority]
basicConstraints = critical,CA:TRUE
[bare]
authorityKeyIdentifier = keyid
[policy]
basicConstraints = critical,CA:FALSE
certificatePolicies = critical,1.3.6.1.4.1.55555.1
[unknown]
basicConstraints = critical,CA:FALSE
1.3.6.1.4.1.55555.2 = critical,ASN1:NULL
"""


@dataclass(frozen=True, slots=True)
class ExternalCa:
    """An authority in a folder. `name` is its common name and the name of its files."""

    folder: Path
    name: str

    @property
    def certificate(self) -> bytes:
        """DER."""
        return der((self.folder / f"{self.name}.pem").read_bytes())

    @property
    def pem(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def certify(
        self,
        csr: bytes,
        *more: str,
        days: int = 365,
        extensions: str = "leaf",
        copy: bool = True,
        number: int | None = None,
    ) -> bytes:
        """The certificate, DER, for a request in DER; of this serial number, or of a new one."""
        request, made = self.folder / "request.pem", self.folder / "made.pem"
        request.write_bytes(x509.load_der_x509_csr(csr).public_bytes(Encoding.PEM))
        serial = ("-rand_serial",) if number is None else ()
        if number is not None:
            (self.folder / "serial").write_text(f"{number:040X}")
            (self.folder / "index.txt").write_text("")
        text = CONFIGURATION.format(
            folder=self.folder, name=self.name, days=days, extensions=extensions
        )
        if not copy:
            text = text.replace("copy_extensions = copyall", "")
        (self.folder / "ca.cnf").write_text(text)
        openssl("ca", "-batch", "-notext", "-config", str(self.folder / "ca.cnf"), *serial,
                "-in", str(request), "-out", str(made), *more)  # fmt: skip
        return der(made.read_bytes())

    def revoke(self, certificate: bytes, reason: str = "unspecified") -> None:
        """Put a certificate, DER, on the next lists, for a reason as openssl writes it."""
        path = self.folder / "revoked.pem"
        path.write_bytes(x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM))
        openssl("ca", "-batch", "-config", str(self.folder / "ca.cnf"), "-revoke", str(path),
                "-crl_reason", reason)  # fmt: skip

    def release(self) -> None:
        """Take all certificates off the next lists."""
        index = self.folder / "index.txt"
        lines = (each.split("\t") for each in index.read_text().splitlines())
        rows = ("\t".join(["V", row[1], "", *row[3:]]) for row in lines)
        index.write_text("".join(f"{row}\n" for row in rows))

    def revocations(self, days: int = 1) -> bytes:
        """Another list, DER, of so many days, with a higher number."""
        made, number = self.folder / "list.pem", self.folder / "crlnumber"
        if not number.exists():
            number.write_text("1000\n")
        text = CONFIGURATION.format(folder=self.folder, name=self.name, days=1, extensions="leaf")
        (self.folder / "ca.cnf").write_text(text)
        openssl("ca", "-gencrl", "-config", str(self.folder / "ca.cnf"), "-crldays", str(days),
                "-out", str(made))  # fmt: skip
        return x509.load_pem_x509_crl(made.read_bytes()).public_bytes(Encoding.DER)


def new_ca(folder: Path, name: str = "trust", issuer: ExternalCa | None = None) -> ExternalCa:
    """Make an authority, which signs its own certificate unless another one issues it."""
    folder.mkdir()
    (folder / "index.txt").touch()
    made = ExternalCa(folder, name)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}")
    private = ("-keyout", str(folder / f"{name}.key"))
    if issuer is None:
        openssl("req", "-x509", *key, *private, "-days", "3650", "-out", str(made.pem))
        return made
    request = folder / "own.der"
    openssl("req", "-new", *key, *private, "-outform", "DER", "-out", str(request))
    issued = issuer.certify(request.read_bytes(), days=1000, extensions="authority")
    made.pem.write_bytes(x509.load_der_x509_certificate(issued).public_bytes(Encoding.PEM))
    return made


def der(pem: bytes) -> bytes:
    """A certificate in PEM as DER."""
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def openssl(*arguments: str) -> None:
    """Run openssl; raises CalledProcessError."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def new_authority(name: str) -> Authority:
    """Make an authority in this process."""
    return ca(name, ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC))


def certify(authority: Authority, csr: bytes) -> bytes:
    """The certificate, DER, that is asked for by a request in DER."""
    asked, now = x509.load_der_x509_csr(csr), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=100))
    )
    for each in asked.extensions:
        builder = builder.add_extension(each.value, each.critical)
    return builder.sign(authority.private, SHA256()).public_bytes(Encoding.DER)


def empty_list(authority: Authority, number: int = 1) -> bytes:
    """A revocation list, DER, of an authority that has revoked nothing."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - timedelta(minutes=1))
        .next_update(now + timedelta(days=1))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    return builder.sign(authority.private, SHA256()).public_bytes(Encoding.DER)
