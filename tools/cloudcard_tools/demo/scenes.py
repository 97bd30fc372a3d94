"""The demo's scenes: what an application does with the card, and what Ada does meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.demo.programs import Pkcs11, openssl
from cloudcard_tools.demo.stage import PASSCODE, Stage
from cloudcard_tools.demo.timeline import Timeline, require

RSA_SIGN = "SHA256-RSA-PKCS"
EC_SIGN = "ECDSA-SHA256"
KEY_IDS = {"9A": "01", "9C": "02", "9D": "03", "9E": "04"}  # OpenSC's numbers for PIV keys
WRONG_PASSCODE = "000000"


@dataclass(slots=True)
class Scenes:
    """Played in order on one stage, with an RSA card in slot 0 and a P-256 card in slot 1."""

    stage: Stage
    timeline: Timeline
    rsa_card: str
    ec_card: str

    def play(self) -> None:
        """Play all scenes in order."""
        self._list()
        for key in ("9A", "9C"):
            with self.timeline.step(f"pkcs11-tool signs with {key}, approved by push"):
                self._sign_by_push(key)
        with self.timeline.step(
            "pkcs11-tool signs with 9A (P-256), approved by scanning a QR code"
        ):
            self._sign_by_qr()
        with self.timeline.step("pkcs11-tool decrypts with 9D what openssl encrypted"):
            self._decrypt()
        with self.timeline.step("pkcs11-tool and openssl agree on one ECDH secret (9D, P-256)"):
            self._agree()
        with self.timeline.step("a denied request: a clean error, and the phone rang once"):
            self._denied()
        with self.timeline.step("three wrong passcodes lock the card; RA and holder unlock it"):
            self._lock_and_unlock()

    def _list(self) -> None:
        with self.timeline.step("pkcs11-tool lists the certificates of both cards", needed=True):
            for slot in (0, 1):
                listed = Pkcs11(slot, PASSCODE)("--list-objects", "--type", "cert")
                found = listed.count("Certificate Object")
                require(found == len(KEY_IDS), f"{found} certificates in slot {slot}:\n{listed}")

    def _sign_by_push(self, key: str) -> None:
        if key == "9C":
            self.timeline.note(
                "9C asks for the passcode before each use, besides the log-in: pkcs11-tool would "
                "ask for it a second time, and takes it from the command line here"
            )
        document = self._file("document.txt", b"One signature, end to end.\n")
        signature = self._path(f"{key}.sig")
        application = Pkcs11(0, PASSCODE)
        self.stage.while_deciding(
            self.stage.approve_push,
            lambda: application.sign(KEY_IDS[key], RSA_SIGN, document, signature),
        )
        self._verify(self.rsa_card, key, document, signature)

    def _sign_by_qr(self) -> None:
        document = self._file("document.txt", b"One signature, end to end.\n")
        signature = self._path("qr.sig")
        application = Pkcs11(1, PASSCODE)
        self.stage.while_deciding(
            self.stage.approve_qr,
            lambda: application.sign(KEY_IDS["9A"], EC_SIGN, document, signature),
        )
        self._verify(self.ec_card, "9A", document, signature)

    def _verify(self, serial: str, key: str, document: Path, signature: Path) -> None:
        """Check with OpenSSL that the CA issued the certificate, and that its key made the
        signature.
        """
        folder = self.stage.certificates(serial)
        certificate = folder / f"{key}.pem"
        openssl("verify", "-CAfile", folder / "ca.pem", certificate)
        public = self._path(f"{serial}-{key}.pub")
        public.write_text(openssl("x509", "-in", certificate, "-noout", "-pubkey"))
        said = openssl("dgst", "-sha256", "-verify", public, "-signature", signature, document)
        self.timeline.note(f"openssl: {said.strip()}, and the certificate is the card CA's")

    def _decrypt(self) -> None:
        secret = self._file("secret.txt", b"for Ada's eyes\n")
        cryptogram, plain = self._path("secret.enc"), self._path("secret.dec")
        certificate = self.stage.certificates(self.rsa_card) / "9D.pem"
        openssl(
            *("pkeyutl", "-encrypt", "-certin", "-inkey", certificate),
            *("-in", secret, "-out", cryptogram),
        )
        application = Pkcs11(0, PASSCODE)
        self.stage.while_deciding(
            self.stage.approve_push,
            lambda: application(
                *("--login", "--pin", PASSCODE, "--decrypt", "--id", KEY_IDS["9D"]),
                *("--mechanism", "RSA-PKCS", "-i", cryptogram, "-o", plain),
            ),
        )
        require(plain.read_bytes() == secret.read_bytes(), "the decrypted text differs")

    def _agree(self) -> None:
        private, public = self._path("peer.pem"), self._path("peer.der")
        ours, theirs = self._path("card.secret"), self._path("peer.secret")
        openssl(
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private
        )
        openssl("pkey", "-in", private, "-pubout", "-outform", "DER", "-out", public)
        application = Pkcs11(1, PASSCODE)
        self.stage.while_deciding(
            self.stage.approve_qr,
            lambda: application(
                *("--login", "--pin", PASSCODE, "--derive", "--id", KEY_IDS["9D"]),
                *("--mechanism", "ECDH1-COFACTOR-DERIVE", "-i", public, "-o", ours),
            ),
        )
        certificate = self.stage.certificates(self.ec_card) / "9D.pem"
        card_public = self._path("card.pub")
        card_public.write_text(openssl("x509", "-in", certificate, "-noout", "-pubkey"))
        openssl("pkeyutl", "-derive", "-inkey", private, "-peerkey", card_public, "-out", theirs)
        require(ours.read_bytes() == theirs.read_bytes(), "the two secrets differ")

    def _denied(self) -> None:
        self.stage.leave_in_peace()
        self.stage.count_rings()
        application = Pkcs11(0, PASSCODE)
        document, signature = self._path("document.txt"), self._path("denied.sig")
        ended = self.stage.while_deciding(
            self.stage.deny,
            lambda: application.attempt(
                *application.signing(KEY_IDS["9A"], RSA_SIGN, document, signature)
            ),
        )
        require(ended.code != 0, "the application thinks that it signed")
        errors = [line for line in ended.errors.splitlines() if "CKR_" in line]
        require(bool(errors), f"no clean error: {ended.errors}")
        rings = self.stage.count_rings()
        require(rings == 1, f"the phone rang {rings} times")
        self.timeline.note(f"pkcs11-tool: {errors[0]}")

    def _lock_and_unlock(self) -> None:
        wrong, right = Pkcs11(0, WRONG_PASSCODE), Pkcs11(0, PASSCODE)
        login = ("--login", "--pin")
        for _ in range(3):
            ended = wrong.attempt(*login, WRONG_PASSCODE, "--list-objects")
            require(ended.code != 0, "a wrong passcode was accepted")
        locked = self.stage.ask.json("ra", "card", "show", self.rsa_card)["passcode"]
        require(locked == "locked", f"the card says {locked!r} after three wrong passcodes")
        ended = right.attempt(*login, PASSCODE, "--list-objects")
        require(ended.code != 0, "a locked card accepted the right passcode")
        self.stage.ask("ra", "card", "unlock", self.rsa_card)
        self.stage.ask("authenticator", "unlock", self.rsa_card)
        right(*login, PASSCODE, "--list-objects")

    def _path(self, name: str) -> Path:
        return self.stage.folder / name

    def _file(self, name: str, content: bytes) -> Path:
        path = self._path(name)
        path.write_bytes(content)
        return path
