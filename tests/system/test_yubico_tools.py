"""Yubico's tools administer a card for developers: ykman, and yubico-piv-tool as Debian has it.

Debian's yubico-piv-tool knows management keys of 3DES only, and makes no certificates (it stops
before it has sent anything): so ykman changes the key first, and makes them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from card_os.piv.names import Algorithm, Cipher, KeyRef, ObjectTag
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY
from cloudcard_tools.demo.programs import must, run
from cloudcard_tools.demo.stage import Stage
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.local.keys import LocalKeys
from support.system_cards import PIN, PUK

Tool: TypeAlias = Callable[..., str]

READER = "Virtual PCD 00 01"
YKMAN = Path(sys.executable).with_name("ykman")
KEY = FACTORY_MANAGEMENT_KEY.hex()
OTHER_KEY = bytes(range(24)).hex()
NEW_PIN, NEW_PUK, WRONG_PIN = "654321", "87654321", "111111"


@pytest.fixture
def ykman(keys: LocalKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """`ykman piv` at the card, in a folder of its own."""
    del keys
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: must([str(YKMAN), "--reader", READER, "piv", *arguments])


@pytest.fixture
def piv_tool(ykman: Tool) -> Tool:
    """`yubico-piv-tool` at the card, whose management key is of 3DES now."""
    ykman(*("access", "change-management-key", "-f", "-m", KEY, "-a", "TDES", "-n", KEY))
    return lambda *arguments: must(["yubico-piv-tool", "-r", READER, *arguments])


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


class TestYkman:
    def test_a_new_card(self, ykman: Tool) -> None:
        said = ykman("info")
        for fact in ("5.7.0", "PIN tries remaining:      3/3", "AES192", "default PIN"):
            assert fact in said

    @pytest.mark.parametrize(
        ("name", "algorithm", "kind"),
        [
            ("RSA2048", Algorithm.RSA_2048, rsa.RSAPublicKey),
            ("RSA3072", Algorithm.RSA_3072, rsa.RSAPublicKey),
            ("RSA4096", Algorithm.RSA_4096, rsa.RSAPublicKey),
            ("ECCP256", Algorithm.ECC_P256, ec.EllipticCurvePublicKey),
            ("ECCP384", Algorithm.ECC_P384, ec.EllipticCurvePublicKey),
            ("ED25519", Algorithm.ED25519, ed25519.Ed25519PublicKey),
            ("X25519", Algorithm.X25519, x25519.X25519PublicKey),
        ],
    )
    def test_a_key_of_each_algorithm(
        self, name: str, algorithm: Algorithm, kind: type, ykman: Tool, keys: LocalKeys
    ) -> None:
        ykman("keys", "generate", "-m", KEY, "-a", name, "9d", "public.pem")
        assert isinstance(load_pem_public_key(Path("public.pem").read_bytes()), kind)
        assert keys.card.keys[KeyRef.KEY_MANAGEMENT].algorithm == algorithm
        said = ykman("keys", "info", "9d")
        assert name in said
        assert "GENERATED" in said
        if algorithm is not Algorithm.X25519:
            ykman(
                *("certificates", "generate", "-m", KEY, "-P", PIN),
                *("--subject", "CN=Ada", "9d", "public.pem"),
            )
            own = certificate(ykman("certificates", "export", "9d", "-"))
            own.verify_directly_issued_by(own)

    def test_a_certificate_request_signed_by_the_signature_key(self, ykman: Tool) -> None:
        ykman("keys", "generate", "-m", KEY, "-a", "ECCP256", "9c", "public.pem")
        ykman(
            *("certificates", "request", "-P", PIN, "--subject", "CN=Ada"),
            *("9c", "public.pem", "request.pem"),
        )
        request = x509.load_pem_x509_csr(Path("request.pem").read_bytes())
        assert request.is_signature_valid

    @pytest.mark.parametrize(
        "kind", [("RSA", "rsa_keygen_bits:2048"), ("EC", "ec_paramgen_curve:P-384")]
    )
    def test_an_imported_key(self, kind: tuple[str, str], ykman: Tool, keys: LocalKeys) -> None:
        name, option = kind
        must(["openssl", "genpkey", "-algorithm", name, "-pkeyopt", option, "-out", "private.pem"])
        must(
            [
                *("openssl", "req", "-x509", "-key", "private.pem", "-subj", "/CN=Ada"),
                *("-out", "certificate.pem"),
            ]
        )
        ykman("keys", "import", "-m", KEY, "9a", "private.pem")
        ykman("certificates", "import", "-m", KEY, "-P", PIN, "--verify", "9a", "certificate.pem")
        assert keys.card.keys[KeyRef.AUTHENTICATION].imported
        assert "IMPORTED" in ykman("keys", "info", "9a")
        ended = run([str(YKMAN), "--reader", READER, "piv", "keys", "attest", "9a", "-"])
        assert ended.code != 0
        ykman("certificates", "delete", "-m", KEY, "-P", PIN, "9a")
        assert ObjectTag.AUTHENTICATION_CERTIFICATE not in keys.image.objects

    def test_an_attested_key(self, ykman: Tool) -> None:
        ykman("keys", "generate", "-m", KEY, "-a", "ECCP256", "9a", "public.pem")
        attestation = certificate(ykman("keys", "attest", "9a", "-"))
        issuer = certificate(ykman("certificates", "export", "f9", "-"))
        attestation.verify_directly_issued_by(issuer)
        made = load_pem_public_key(Path("public.pem").read_bytes())
        assert attestation.public_key() == made

    def test_keys_are_moved_and_deleted(self, ykman: Tool, keys: LocalKeys) -> None:
        ykman("keys", "generate", "-m", KEY, "-a", "ECCP256", "9d", "public.pem")
        ykman("keys", "move", "-m", KEY, "9d", "82")
        assert set(keys.card.keys) == {0x82}
        ykman("keys", "delete", "-m", KEY, "82")
        assert keys.card.keys == {}

    def test_objects(self, ykman: Tool) -> None:
        Path("written").write_bytes(b"\x53\x03abc")
        ykman("objects", "import", "-m", KEY, "0x5fc10a", "written")
        ykman("objects", "export", "0x5fc10a", "read")
        assert Path("read").read_bytes() == Path("written").read_bytes()

    def test_passcodes(self, ykman: Tool, keys: LocalKeys) -> None:
        ykman("access", "change-pin", "-P", PIN, "-n", NEW_PIN)
        ykman("access", "change-puk", "-p", PUK, "-n", NEW_PUK)
        wrong = [str(YKMAN), "--reader", READER, "piv", "access", "change-pin"]
        for _ in range(3):
            assert run([*wrong, "-P", WRONG_PIN, "-n", PIN]).code != 0
        ykman("access", "unblock-pin", "-p", NEW_PUK, "-n", PIN)
        ykman("access", "set-retries", "-f", "-m", KEY, "-P", PIN, "5", "4")
        said = ykman("info")
        assert "PIN tries remaining:      5/5" in said
        assert "PUK tries remaining:      4/4" in said

    @pytest.mark.parametrize("name", ["TDES", "AES128", "AES192", "AES256"])
    def test_management_keys(self, name: str, ykman: Tool, keys: LocalKeys) -> None:
        ykman(
            "access", "change-management-key", "-f", "-m", KEY, "-a", name, "--protect", "-P", PIN
        )
        assert f"Management key algorithm: {name}" in ykman("info")
        ykman("keys", "generate", "-P", PIN, "-a", "ECCP256", "9a", "public.pem")
        assert set(keys.card.keys) == {KeyRef.AUTHENTICATION}

    def test_a_reset(self, ykman: Tool, keys: LocalKeys) -> None:
        ykman("keys", "generate", "-m", KEY, "-a", "ECCP256", "9a", "public.pem")
        ykman("access", "change-management-key", "-f", "-m", KEY, "-n", OTHER_KEY)
        ykman("reset", "-f")
        assert keys.card.keys == {}
        assert keys.card.management_algorithm == Cipher.AES_192
        ykman("keys", "generate", "-m", KEY, "-a", "ECCP256", "9a", "public.pem")


class TestYubicoPivTool:
    @pytest.mark.parametrize("name", ["RSA2048", "ECCP256", "ECCP384"])
    def test_a_key_and_its_certificate(self, name: str, piv_tool: Tool, ykman: Tool) -> None:
        piv_tool("-a", "generate", "-s", "9a", "-A", name, "-o", "public.pem")
        ykman(
            *("certificates", "generate", "-m", KEY, "-P", PIN),
            *("--subject", "CN=Ada", "9a", "public.pem"),
        )
        pem = piv_tool("-a", "read-certificate", "-s", "9a")
        Path("certificate.pem").write_text(pem)
        piv_tool("-a", "delete-certificate", "-s", "9a")
        piv_tool("-a", "import-certificate", "-s", "9a", "-i", "certificate.pem")
        assert certificate(piv_tool("-a", "read-certificate", "-s", "9a")) == certificate(pem)
        ended = run(
            [
                *("yubico-piv-tool", "-r", READER, "-a", "verify-pin", "-P", PIN),
                *("-a", "test-signature", "-s", "9a", "-i", "certificate.pem"),
            ]
        )
        assert "Successful" in ended.errors.split("verified PIN")[1]
        assert "BEGIN CERTIFICATE" in piv_tool("-a", "attest", "-s", "9a")
        assert "CN=Ada" in piv_tool("-a", "status")

    def test_an_imported_key(self, piv_tool: Tool, keys: LocalKeys) -> None:
        must(["openssl", "genrsa", "-out", "private.pem", "2048"])
        piv_tool("-a", "import-key", "-s", "9d", "-A", "RSA2048", "-i", "private.pem")
        assert keys.card.keys[KeyRef.KEY_MANAGEMENT].imported

    def test_passcodes_and_management_key(self, piv_tool: Tool) -> None:
        piv_tool("-a", "change-pin", "-P", PIN, "-N", NEW_PIN)
        piv_tool("-a", "change-puk", "-P", PUK, "-N", NEW_PUK)
        piv_tool("-a", "unblock-pin", "-P", NEW_PUK, "-N", PIN)
        piv_tool("-a", "set-mgm-key", "-n", OTHER_KEY)
        piv_tool(
            *(f"--key={OTHER_KEY}", "-a", "verify-pin", "-P", PIN, "-a", "pin-retries"),
            *("--pin-retries", "5", "--puk-retries", "4"),
        )
        assert "PIN tries left:\t5" in piv_tool("-a", "status")

    def test_a_new_chuid_and_ccc(self, piv_tool: Tool, keys: LocalKeys) -> None:
        before = keys.image.objects[ObjectTag.CHUID]
        piv_tool("-a", "set-chuid", "-a", "set-ccc")
        assert keys.image.objects[ObjectTag.CHUID] != before

    def test_a_reset(self, piv_tool: Tool, keys: LocalKeys) -> None:
        piv_tool("-a", "generate", "-s", "9a", "-A", "ECCP256", "-o", "public.pem")
        tool = ["yubico-piv-tool", "-r", READER]
        assert run([*tool, "-a", "reset"]).code != 0  # not while the passcodes are good
        for _ in range(3):
            run([*tool, "-a", "verify-pin", "-P", WRONG_PIN])
            run([*tool, "-a", "unblock-pin", "-P", "11111111", "-N", PIN])
        piv_tool("-a", "reset")
        assert keys.card.keys == {}


def test_ykman_at_a_card_of_the_keystore(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path / "stage", nursery, interactive=False)
    stage.start_keystore()
    stage.meet_ada()
    stage.start_phone()
    issued = stage.ask.json("ra", "card", "issue", stage.user_id, "--profile", "developer")
    stage.insert(0, issued["serial"], approval="push")
    monkeypatch.chdir(tmp_path)
    ykman = [str(YKMAN), "--reader", "Virtual PCD 00 00", "piv"]
    must([*ykman, "keys", "generate", "-m", KEY, "-a", "ECCP384", "9a", "public.pem"])
    must([*ykman, "keys", "attest", "9a", "attestation.pem"])
    request = ["certificates", "request", "-P", PIN, "--subject", "CN=Ada", "9a", "public.pem"]
    stage.while_deciding(stage.approve_push, lambda: must([*ykman, *request, "request.pem"]))
    assert stage.count_rings() == 1
    made = load_pem_public_key(Path("public.pem").read_bytes())
    signed = x509.load_pem_x509_csr(Path("request.pem").read_bytes())
    assert signed.is_signature_valid
    assert signed.public_key() == made
    assert certificate(Path("attestation.pem").read_text()).public_key() == made
    must([*ykman, "reset", "-f"])
    assert "Slot 9A" not in must([*ykman, "info"])
