"""Programs that use the card without knowing it: ssh, NSS and Chromium, OpenSSL."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import Algorithm, KeyRef
from cloudcard_tools.demo.programs import module, must
from recording.stage import Session, Stage
from support import chromium, nginx, nss, sshd
from support.chromium import Person
from support.nss import nickname
from support.openssl_engine import configure, openssl, uri
from support.system_cards import PIN

DOCUMENT = b"At one?\r\n"
ENGINE = ("-engine", "pkcs11", "-keyform", "engine")


def ssh(stage: Stage) -> None:
    """A login by the card, and two through an agent."""
    answer = stage.path("askpass", f"#!/bin/sh\necho {PIN}\n".encode())
    answer.chmod(0o700)
    typing = {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
    server = sshd.start(stage.nursery, stage.folder)
    key = stage.card.certificates[KeyRef.AUTHENTICATION].public_key()
    server.authorize(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
    stage.must("ssh-keygen -D", "ssh-keygen", "-D", module())
    stage.must("ssh -I", *server.client("-I", str(module())), "id", **typing)
    place = {"SSH_AUTH_SOCK": str(stage.folder / "agent")}
    agent = stage.nursery.start("agent", "ssh-agent", "-D", "-a", place["SSH_AUTH_SOCK"])
    agent.wait_for("SSH_AUTH")
    stage.must("ssh-add -s", "ssh-add", "-s", module(), **place, **typing)
    for attempt in ("first", "second"):
        command = server.client(agent=place["SSH_AUTH_SOCK"])
        stage.must(f"ssh with the agent, {attempt}", *command, "id")
    stage.must("ssh-add -e", "ssh-add", "-e", module(), **place)
    assert stage.card.used == [KeyRef.AUTHENTICATION] * 3


def nss_tools(stage: Stage) -> None:
    """NSS lists, authenticates to a server, signs, deciphers."""
    stage.step("modutil -add")
    database = nss.make(stage.folder / "nssdb", stage.authority.write(stage.folder))
    listing = ("-h", "all", "-f", database.pin_file)
    stage.must("certutil -L", "certutil", "-d", database.name, "-L", *listing)
    server = nginx.start(stage.nursery, stage.folder, stage.authority)
    stage.must(
        *("tstclnt, TLS 1.3", "tstclnt", "-d", database.name, "-4", "-h", "localhost"),
        *("-p", str(server.port), "-V", "tls1.3:tls1.3"),
        *("-A", stage.path("request", b"GET / HTTP/1.0\r\n\r\n")),
        *("-n", nickname(stage.card, KeyRef.AUTHENTICATION), "-w", PIN),
    )
    stage.must(
        *("cmsutil -S", "cmsutil", "-d", database.name, "-S", "-T", "-P", "-H", "SHA256"),
        *("-f", database.pin_file, "-N", nickname(stage.card, KeyRef.SIGNATURE)),
        *("-Y", nickname(stage.card, KeyRef.KEY_MANAGEMENT)),
        *("-i", stage.path("document", DOCUMENT), "-o", stage.folder / "signed"),
    )
    assert stage.card.used == [KeyRef.AUTHENTICATION, KeyRef.SIGNATURE]
    if stage.card.algorithm == Algorithm.RSA_2048:
        encrypted = stage.folder / "encrypted"
        recipient = stage.card.write_certificate(KeyRef.KEY_MANAGEMENT, stage.folder)
        encrypting = ("openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER")
        files = ("-in", stage.folder / "document", "-out", encrypted, recipient)
        must([*encrypting, *map(str, files)])
        opening = ("-d", database.name, "-D", "-f", database.pin_file, "-i", encrypted)
        stage.must("cmsutil -D", "cmsutil", *opening)


def browse(stage: Stage) -> None:
    """A person logs in to a web page with Chromium."""
    server = nginx.start(stage.nursery, stage.folder, stage.authority)
    home = stage.folder / "home"
    stage.step("modutil -add")
    nss.make(home / ".pki" / "nssdb", server.authority)
    stage.step("Chromium opens a page that asks for a certificate")
    with (
        chromium.opened(stage.nursery, home) as (page, screen),
        Person(screen, PIN),
    ):
        page.goto(server.url, timeout=30_000)
        assert page.inner_text("p") == nginx.said("Ada 9A", "TLSv1.3")
    assert KeyRef.AUTHENTICATION in stage.card.used


def cms(stage: Stage) -> None:
    """OpenSSL signs mail with both keys, and reads mail to the card."""
    mail, encrypted = stage.path("mail", DOCUMENT), stage.folder / "encrypted"
    for key_ref in (KeyRef.AUTHENTICATION, KeyRef.SIGNATURE):
        stage.step(f"openssl cms -sign, {key_ref:02X}")
        signer = stage.card.write_certificate(key_ref, stage.folder)
        ended = openssl(
            stage.folder,
            *("cms", "-sign", "-binary", "-in", mail, "-out", stage.folder / "signed"),
            *("-signer", signer, *ENGINE, "-inkey", uri(key_ref)),
            stdin=PIN + "\n" if key_ref is KeyRef.SIGNATURE else "",
        )
        assert ended.code == 0, ended.errors
    stage.step("openssl cms -decrypt")
    recipient = stage.card.write_certificate(KeyRef.KEY_MANAGEMENT, stage.folder)
    must(
        [
            *("openssl", "cms", "-encrypt", "-binary", "-aes256", "-in", str(mail)),
            *("-out", str(encrypted), "-recip", str(recipient)),
        ]
    )
    key = uri(KeyRef.KEY_MANAGEMENT)
    read = ("-in", encrypted, "-out", stage.folder / "read", "-recip", recipient)
    opening = ("cms", "-decrypt", "-binary", *read, *ENGINE, "-inkey", key)
    ended = openssl(stage.folder, *opening)
    assert ended.code == 0, ended.errors
    assert (stage.folder / "read").read_bytes() == DOCUMENT


def tls(stage: Stage) -> None:
    """curl, with OpenSSL's engine, logs in to a server."""
    server = nginx.start(stage.nursery, stage.folder, stage.authority)
    key = KeyRef.AUTHENTICATION
    said = stage.must(
        *("curl --engine pkcs11", "curl", "--silent", "--show-error", "--cacert"),
        *(server.authority, "--engine", "pkcs11", "--cert-type", "ENG", "--cert"),
        *(uri(key, "cert"), "--key-type", "ENG", "--key", uri(key), server.url),
        **configure(stage.folder),
    )
    assert nginx.said("Ada 9A", "TLSv1.3") in said


SESSIONS = (
    Session("ssh/login-rsa2048", ssh, Algorithm.RSA_2048),
    Session("ssh/login-p256", ssh),
    Session("nss/tools-rsa2048", nss_tools, Algorithm.RSA_2048),
    Session("nss/tools-p256", nss_tools),
    Session("chromium/login-p256", browse),
    Session("openssl/cms-rsa2048", cms, Algorithm.RSA_2048),
    Session("openssl/cms-p384", cms, Algorithm.ECC_P384),
    Session("openssl/curl-p256", tls),
)
