"""OpenSC's piv-tool administers a card: it makes keys, and writes certificates and objects.

What counts is what the card then holds: OpenSC 0.23 ends with the number of bytes that it wrote,
and cannot print the keys that it made. Of AES it only does the mutual authentication: it miscounts
its own answer to a challenge.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from card_os import tlv
from card_os.piv.issuing import encode
from card_os.piv.names import Algorithm, KeyRef, ObjectTag, Tag
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY
from cloudcard_tools.demo.programs import must, run
from reader_bridge.local.keys import LocalKeys
from support.authority import Authority
from support.system_cards import SLOT

CURVES: Mapping[Algorithm, ec.EllipticCurve] = {
    Algorithm.ECC_P256: ec.SECP256R1(),
    Algorithm.ECC_P384: ec.SECP384R1(),
}


@pytest.fixture
def piv_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How to call it as the administrator."""
    key = tmp_path / "management-key"
    key.write_bytes(FACTORY_MANAGEMENT_KEY)
    monkeypatch.setenv("PIV_EXT_AUTH_KEY", str(key))
    return ["piv-tool", "--reader", str(SLOT), "--admin", "M:9B:0A"]


@pytest.mark.parametrize("algorithm", list(CURVES), ids=[each.name for each in CURVES])
def test_it_makes_a_key_and_writes_its_certificate(
    algorithm: Algorithm,
    keys: LocalKeys,
    piv_tool: list[str],
    authority: Authority,
    tmp_path: Path,
) -> None:
    file = tmp_path / "9A.pem"
    run([*piv_tool, "--genkey", f"9A:{algorithm:02X}", "--out", str(tmp_path / "public")])
    key = keys.card.keys[KeyRef.AUTHENTICATION]
    assert key.algorithm == algorithm
    point = tlv.decode_one(0x86, keys.image.keys[KeyRef.AUTHENTICATION].public)
    made = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[algorithm], point)

    pem = authority.certify("Ada", made).public_bytes(Encoding.PEM)
    file.write_bytes(pem)
    run([*piv_tool, "--cert", "9A", "--in", str(file)])
    read = must(["pkcs15-tool", "--reader", str(SLOT), "--read-certificate", "01"])
    assert pem.decode().strip() in read


def test_it_makes_an_rsa_key(keys: LocalKeys, piv_tool: list[str], tmp_path: Path) -> None:
    run([*piv_tool, "--genkey", "9C:07", "--out", str(tmp_path / "public")])
    assert keys.card.keys[KeyRef.SIGNATURE].algorithm == Algorithm.RSA_2048


def test_it_writes_an_object(keys: LocalKeys, piv_tool: list[str], tmp_path: Path) -> None:
    contents = encode.printed_information("Ada", "Staff", "20301231", "1", "cloudcard")
    file = tmp_path / "object"
    file.write_bytes(tlv.encode(Tag.DATA, contents))
    run([*piv_tool, "--object", "3001", "--in", str(file)])
    assert keys.image.objects[ObjectTag.PRINTED_INFORMATION] == contents


def test_a_wrong_key_changes_nothing(
    keys: LocalKeys, piv_tool: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong-key"
    wrong.write_bytes(bytes(len(FACTORY_MANAGEMENT_KEY)))
    monkeypatch.setenv("PIV_EXT_AUTH_KEY", str(wrong))
    ended = run([*piv_tool, "--genkey", "9A:11", "--out", str(tmp_path / "public")])
    assert "admin_mode failed" in ended.errors
    assert keys.card.keys == {}
