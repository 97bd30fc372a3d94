"""OpenSC's own programs, and pkcs11-tool with every algorithm."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os import tlv
from card_os.piv.issuing import encode
from card_os.piv.names import Algorithm, KeyRef, Tag
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY
from cloudcard_tools.demo.programs import module
from recording.secrecy import NEW_PIN, WRONG_PIN, WRONG_PUK
from recording.stage import SLOT, Session, Stage
from support.system_cards import OPENSC_IDS, PIN, PUK, RSA

DOCUMENT = b"One signature, end to end.\n"
PKCS15 = ("pkcs15-tool", "--reader", SLOT)
SIGNING = {
    True: ("RSA-X-509", "RSA-PKCS", "SHA256-RSA-PKCS", "SHA256-RSA-PKCS-PSS"),
    False: ("ECDSA", "ECDSA-SHA256", "ECDSA-SHA384"),
}


def look(stage: Stage) -> None:
    """What the programs find without a PIN."""
    for option in ("--atr", "--name", "--serial"):
        stage.must(f"opensc-tool {option}", "opensc-tool", "--reader", SLOT, option)
    stage.may_fail("opensc-tool --list-files", "opensc-tool", "--reader", SLOT, "--list-files")
    stage.must("piv-tool --serial", "piv-tool", "--reader", SLOT, "--serial")
    stage.must("pkcs15-tool --dump", *PKCS15, "--dump")
    stage.must("pkcs15-tool --read-certificate", *PKCS15, "--read-certificate", "01")
    stage.must("pkcs15-tool --read-ssh-key", *PKCS15, "--read-ssh-key", "01")


def passcodes(stage: Stage) -> None:
    """PIN and PUK: wrong, right, changed, blocked, unblocked."""
    verify, change = (*PKCS15, "--verify-pin", "--pin"), (*PKCS15, "--change-pin", "--pin")
    unblock = (*PKCS15, "--unblock-pin", "--puk")
    for attempt in ("first", "second"):
        assert stage.may_fail(f"a wrong PIN, the {attempt}", *verify, WRONG_PIN).code
    stage.must("the right PIN", *verify, PIN)
    assert stage.may_fail("no change", *change, WRONG_PIN, "--new-pin", NEW_PIN).code
    stage.must("the PIN is changed", *change, PIN, "--new-pin", NEW_PIN)
    assert stage.may_fail("the old PIN", *verify, PIN).code
    stage.must("the new PIN", *verify, NEW_PIN)
    for attempt in ("first", "second", "last"):
        stage.may_fail(f"a wrong PIN, the {attempt}", *verify, WRONG_PIN)
    assert "blocked" in stage.may_fail("blocked", *verify, NEW_PIN).errors.lower()
    assert stage.may_fail("a wrong PUK", *unblock, WRONG_PUK, "--new-pin", PIN).code
    stage.must("the PUK", *unblock, PUK, "--new-pin", PIN)
    stage.must("the PIN again", *verify, PIN)


def administer(stage: Stage) -> None:
    """piv-tool makes keys, and writes a certificate and an object. It ends with what it wrote."""
    secret = {"PIV_EXT_AUTH_KEY": str(stage.path("management-key", FACTORY_MANAGEMENT_KEY))}
    admin = ("piv-tool", "--reader", SLOT, "--admin", "M:9B:0A")
    public = ("--out", stage.folder / "public")
    stage.may_fail("piv-tool --genkey 9A:11", *admin, "--genkey", "9A:11", *public, **secret)
    made = stage.keys.image.keys[KeyRef.AUTHENTICATION].public
    point = tlv.decode_one(0x86, made)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    pem = stage.path("9A.pem", stage.authority.certify("Ada", key).public_bytes(Encoding.PEM))
    stage.may_fail("piv-tool --cert 9A", *admin, "--cert", "9A", "--in", pem, **secret)
    stage.may_fail("piv-tool --genkey 9C:07", *admin, "--genkey", "9C:07", *public, **secret)
    assert stage.keys.card.keys[KeyRef.SIGNATURE].algorithm == Algorithm.RSA_2048
    contents = encode.printed_information("Ada", "Staff", "20301231", "1", "cloudcard")
    written = stage.path("object", tlv.encode(Tag.DATA, contents))
    stage.may_fail("piv-tool --object 3001", *admin, "--object", "3001", "--in", written, **secret)
    wrong = {"PIV_EXT_AUTH_KEY": str(stage.path("wrong-key", bytes(24)))}
    ended = stage.may_fail("a wrong key", *admin, "--genkey", "9D:11", *public, **wrong)
    assert "admin_mode failed" in ended.errors
    stage.must("pkcs15-tool --read-certificate", *PKCS15, "--read-certificate", "01")


def pkcs11(*arguments: object) -> list[str]:
    """pkcs11-tool at the card."""
    return [
        "pkcs11-tool",
        "--module",
        str(module()),
        "--slot-index",
        str(SLOT),
        *map(str, arguments),
    ]


def check(stage: Stage) -> None:
    """What pkcs11-tool tries by itself."""
    ended = stage.may_fail("pkcs11-tool --test", *pkcs11("--login", "--pin", PIN, "--test"))
    assert "No errors" in ended.output, ended.errors


def sign(stage: Stage) -> None:
    """Each key with each kind of mechanism; a wrong PIN first."""
    document = stage.path("document", DOCUMENT)
    login = ("--login", "--pin", PIN)
    wrong = pkcs11("--login", "--pin", WRONG_PIN, "--list-objects")
    assert stage.may_fail("a wrong PIN", *wrong).code
    stage.must("--list-objects", *pkcs11(*login, "--list-objects"))
    blocks = {
        "RSA-X-509": b"\x00" + bytes([0xA5] * 255),
        "ECDSA": bytes(range(32)),
    }
    mechanisms = SIGNING[stage.card.algorithm in RSA]
    for key_ref, mechanism in [
        *((KeyRef.AUTHENTICATION, each) for each in mechanisms),
        *((each, mechanisms[-1]) for each in (KeyRef.SIGNATURE, KeyRef.CARD_AUTHENTICATION)),
    ]:
        data = stage.path("data", blocks[mechanism]) if mechanism in blocks else document
        by = ("--sign", "--id", OPENSC_IDS[key_ref], "--mechanism", mechanism)
        files = ("--input-file", data, "--output-file", stage.folder / "signature")
        stage.must(f"{key_ref:02X} signs, {mechanism}", *pkcs11(*login, *by, *files))


def receive(stage: Stage) -> None:
    """The key management key deciphers, or agrees on a secret."""
    key = stage.card.certificates[KeyRef.KEY_MANAGEMENT].public_key()
    opened = ("--login", "--pin", PIN, "--id", OPENSC_IDS[KeyRef.KEY_MANAGEMENT])
    if isinstance(key, rsa.RSAPublicKey):
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        options = ("--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256")
        ways = {
            "RSA-PKCS": (key.encrypt(DOCUMENT, padding.PKCS1v15()), ()),
            "RSA-PKCS-OAEP": (key.encrypt(DOCUMENT, oaep), options),
        }
        action = "--decrypt"
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        peer = ec.generate_private_key(key.curve).public_key()
        der = peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ways = dict.fromkeys(("ECDH1-DERIVE", "ECDH1-COFACTOR-DERIVE"), (der, ()))
        action = "--derive"
    for mechanism, (data, options) in ways.items():
        read, made = stage.path("input", data), stage.folder / "output"
        files = ("--input-file", read, "--output-file", made)
        command = pkcs11(*opened, action, "--mechanism", mechanism, *options, *files)
        stage.must(f"{action} {mechanism}", *command)


def _name(algorithm: Algorithm) -> str:
    return algorithm.name.lower().replace("_", "").removeprefix("ecc")


SESSIONS = (
    *(
        Session(f"{folder}/{name}-{_name(algorithm)}", play, algorithm)
        for folder, name, play, algorithms in (
            ("opensc", "look", look, (Algorithm.RSA_2048, Algorithm.ECC_P256)),
            ("pkcs11-tool", "test", check, (*RSA, Algorithm.ECC_P256, Algorithm.ECC_P384)),
            ("pkcs11-tool", "sign", sign, (Algorithm.RSA_2048, Algorithm.ECC_P256)),
            ("pkcs11-tool", "receive", receive, (Algorithm.RSA_2048, Algorithm.ECC_P384)),
        )
        for algorithm in algorithms
    ),
    Session("opensc/passcodes", passcodes),
    Session("opensc/piv-tool", administer, profile="developer"),
)
