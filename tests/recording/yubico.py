"""Yubico's tools administer a card for developers: ykman and yubico-piv-tool."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from card_os.piv.names import KeyRef
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY
from cloudcard_tools.demo.programs import must
from recording.secrecy import NEW_PIN, NEW_PUK, OTHER_KEY, WRONG_PIN, WRONG_PUK
from recording.stage import READER, Session, Stage
from support.system_cards import PIN, PUK

YKMAN = (str(Path(sys.executable).with_name("ykman")), "--reader", READER, "piv")
PIV_TOOL = ("yubico-piv-tool", "-r", READER)
KEY = ("-m", FACTORY_MANAGEMENT_KEY.hex())
PIN_OPTION = ("-P", PIN)
SUBJECT = ("--subject", "CN=Ada")
GENERATED = ("RSA2048", "ECCP256", "ECCP384", "ED25519", "X25519")


def ykman(stage: Stage, step: str, *arguments: str | Path) -> str:
    """`ykman piv` at the card."""
    return stage.must(f"ykman piv {step}", *YKMAN, *arguments)


def piv_tool(stage: Stage, step: str, *arguments: str | Path) -> str:
    """`yubico-piv-tool` at the card."""
    return stage.must(f"yubico-piv-tool {step}", *PIV_TOOL, *arguments)


def make(stage: Stage, name: str) -> None:
    """A key of one algorithm, its certificate and its attestation."""
    public = stage.folder / "public.pem"
    ykman(stage, f"keys generate -a {name} 9d", "keys", "generate", *KEY, "-a", name, "9d", public)
    ykman(stage, "keys info 9d", "keys", "info", "9d")
    ykman(stage, "keys attest 9d", "keys", "attest", "9d", "-")
    if name != "X25519":
        certify = ("certificates", "generate", *KEY, *PIN_OPTION, *SUBJECT, "9d", public)
        ykman(stage, "certificates generate 9d", *certify)
        ykman(stage, "certificates export 9d", "certificates", "export", "9d", "-")
    ykman(stage, "info", "info")


def take_in(stage: Stage) -> None:
    """Imported keys of two kinds, moved and deleted; a request; an object."""
    for name, option in (("RSA", "rsa_keygen_bits:2048"), ("EC", "ec_paramgen_curve:P-384")):
        private = stage.folder / f"{name}.pem"
        made = ("openssl", "genpkey", "-algorithm", name, "-pkeyopt", option, "-out", str(private))
        must(made)
        ykman(stage, f"keys import 9a, {name}", "keys", "import", *KEY, "9a", private)
    assert stage.keys.card.keys[KeyRef.AUTHENTICATION].imported
    ykman(stage, "keys move 9a 82", "keys", "move", *KEY, "9a", "82")
    ykman(stage, "keys delete 82", "keys", "delete", *KEY, "82")
    public, request = stage.folder / "public.pem", stage.folder / "request.pem"
    ykman(stage, "keys generate 9c", "keys", "generate", *KEY, "-a", "ECCP256", "9c", public)
    signing = ("certificates", "request", *PIN_OPTION, *SUBJECT, "9c", public, request)
    ykman(stage, "certificates request 9c", *signing)
    written = stage.path("object", b"\x53\x03abc")
    ykman(stage, "objects import", "objects", "import", *KEY, "0x5fc10a", written)
    ykman(stage, "objects export", "objects", "export", "0x5fc10a", "-")


def passcodes(stage: Stage) -> None:
    """PIN, PUK and their tries."""
    change = ("access", "change-pin", "-P")
    ykman(stage, "access change-pin", *change, PIN, "-n", NEW_PIN)
    ykman(stage, "access change-puk", "access", "change-puk", "-p", PUK, "-n", NEW_PUK)
    for attempt in ("first", "second", "last"):
        wrong = (*YKMAN, *change, WRONG_PIN, "-n", PIN)
        assert stage.may_fail(f"a wrong PIN, the {attempt}", *wrong).code
    unblock = ("access", "unblock-pin", "-p")
    assert stage.may_fail("a wrong PUK", *YKMAN, *unblock, WRONG_PUK, "-n", PIN).code
    ykman(stage, "access unblock-pin", *unblock, NEW_PUK, "-n", PIN)
    tries = ("access", "set-retries", "-f", *KEY, *PIN_OPTION, "5", "4")
    ykman(stage, "access set-retries", *tries)
    ykman(stage, "info", "info")


def management_keys(stage: Stage) -> None:
    """Every algorithm of the management key, the last one protected by the PIN; a reset."""
    change = ("access", "change-management-key", "-f")
    old = FACTORY_MANAGEMENT_KEY
    for name, size in (("TDES", 24), ("AES128", 16), ("AES256", 32), ("AES192", 24)):
        new = (FACTORY_MANAGEMENT_KEY * 2)[:size]
        keys = ("-m", old.hex(), "-a", name, "-n", new.hex())
        ykman(stage, f"{change[1]} -a {name}", *change, *keys)
        old = new
    other = ("-n", OTHER_KEY.hex())
    ykman(stage, f"{change[1]} to another", *change, *KEY, "-a", "AES192", *other)
    wrong = (*YKMAN, "keys", "generate", *KEY, "-a", "ECCP256", "9a", "-")
    assert stage.may_fail("the old management key", *wrong).code
    protect = (*change, "-m", OTHER_KEY.hex(), "-a", "AES192", "--protect", *PIN_OPTION)
    ykman(stage, f"{change[1]} --protect", *protect)
    by_pin = ("keys", "generate", *PIN_OPTION, "-a", "ECCP256", "9a", "-")
    ykman(stage, "keys generate 9a, by the PIN", *by_pin)
    ykman(stage, "reset", "reset", "-f")
    ykman(stage, "info", "info")


def old_tool(stage: Stage) -> None:
    """What Debian's yubico-piv-tool does, of which ykman changes the management key first."""
    tdes = ("-a", "TDES", "-n", FACTORY_MANAGEMENT_KEY.hex())
    change = ("access", "change-management-key", "-f", *KEY, *tdes)
    ykman(stage, "access change-management-key -a TDES", *change)
    public, certificate = stage.folder / "public.pem", stage.folder / "certificate.pem"
    make_key = ("-a", "generate", "-s", "9a", "-A", "ECCP256", "-o", public)
    piv_tool(stage, "-a generate", *make_key)
    certify = ("certificates", "generate", *KEY, *PIN_OPTION, *SUBJECT, "9a", public)
    ykman(stage, "certificates generate 9a", *certify)
    certificate.write_text(piv_tool(stage, "-a read-certificate", "-a", "read-certificate", "-s9a"))
    piv_tool(stage, "-a delete-certificate", "-a", "delete-certificate", "-s", "9a")
    into = ("-a", "import-certificate", "-s", "9a", "-i", certificate)
    piv_tool(stage, "-a import-certificate", *into)
    test = ("-a", "verify-pin", *PIN_OPTION, "-a", "test-signature", "-s", "9a", "-i", certificate)
    assert "Successful" in stage.may_fail("-a test-signature", *PIV_TOOL, *test).errors
    piv_tool(stage, "-a attest", "-a", "attest", "-s", "9a")
    piv_tool(stage, "-a set-chuid -a set-ccc", "-a", "set-chuid", "-a", "set-ccc")
    piv_tool(stage, "-a status", "-a", "status")


def old_tools_passcodes(stage: Stage) -> None:
    """yubico-piv-tool: an imported key, passcodes, tries, a reset."""
    tdes = ("-a", "TDES", "-n", FACTORY_MANAGEMENT_KEY.hex())
    change = ("access", "change-management-key", "-f", *KEY, *tdes)
    ykman(stage, "access change-management-key -a TDES", *change)
    private = stage.folder / "private.pem"
    must(["openssl", "genrsa", "-out", str(private), "2048"])
    into = ("-a", "import-key", "-s", "9d", "-A", "RSA2048", "-i", private)
    piv_tool(stage, "-a import-key", *into)
    piv_tool(stage, "-a change-pin", "-a", "change-pin", *PIN_OPTION, "-N", NEW_PIN)
    piv_tool(stage, "-a change-puk", "-a", "change-puk", "-P", PUK, "-N", NEW_PUK)
    piv_tool(stage, "-a unblock-pin", "-a", "unblock-pin", "-P", NEW_PUK, "-N", PIN)
    piv_tool(stage, "-a set-mgm-key", "-a", "set-mgm-key", "-n", OTHER_KEY.hex())
    piv_tool(
        *(stage, "-a pin-retries", f"--key={OTHER_KEY.hex()}", "-a", "verify-pin", *PIN_OPTION),
        *("-a", "pin-retries", "--pin-retries", "2", "--puk-retries", "2"),
    )
    for attempt in ("first", "last"):
        wrong = (*PIV_TOOL, "-a", "verify-pin", "-P", WRONG_PIN)
        assert stage.may_fail(f"a wrong PIN, the {attempt}", *wrong).code
        unblock = (*PIV_TOOL, "-a", "unblock-pin", "-P", WRONG_PUK, "-N", PIN)
        assert stage.may_fail(f"a wrong PUK, the {attempt}", *unblock).code
    piv_tool(stage, "-a reset", "-a", "reset")


SESSIONS = (
    *(
        Session(f"ykman/key-{name.lower()}", partial(make, name=name), profile="developer")
        for name in GENERATED
    ),
    Session("ykman/import", take_in, profile="developer"),
    Session("ykman/passcodes", passcodes, profile="developer"),
    Session("ykman/management-key", management_keys, profile="developer"),
    Session("yubico-piv-tool/key", old_tool, profile="developer"),
    Session("yubico-piv-tool/passcodes", old_tools_passcodes, profile="developer"),
)
