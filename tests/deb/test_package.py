"""The workstation's Debian package, installed, used, upgraded and purged in a root of its own.

`make deb-test` builds the package and runs this. It is none of the tests of `make test`, because to
build takes a minute. It needs root, and a kernel that gives it an overlay.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from architecture.imports import ROOT
from cloudcard_tools.authenticator.phone import Phone, Ringing
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.pcscd import WITHOUT_POLKIT
from cloudcard_tools.shared.processes import Child, Nursery
from distribution.requirements import PROJECT, required
from support.guides import run_by
from support.keystore_process import PASSCODE, KeystoreProcess
from support.polling import until
from support.private_root import PrivateRoot, private_root

NAME, PRIVATE = "cloudcard-reader", "/usr/lib/cloudcard"
READERS, POLICY = "/etc/reader.conf.d/cloudcard", "/etc/cloudcard/reader.toml"
UNIT = "/usr/lib/systemd/user/cloudcard-reader@.service"
AGENT = "/usr/lib/systemd/user/cloudcard-reader.service"
LIMIT_MB = 25
SECONDS = 120
# A card of this computer's own, which asks nobody.
PIN = "123456"

# Packages are unpacked and compiled here, which a busy machine takes long for.
pytestmark = pytest.mark.timeout(900)

[GUIDE] = run_by("workstation.md", __file__)


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def package() -> Path:
    """What `make deb` has built for this release."""
    release = re.search(r'^VERSION_ID="(\d+)"', Path("/etc/os-release").read_text(), re.MULTILINE)
    assert release is not None
    [found] = (ROOT / "build" / "deb").glob(f"*_{PROJECT['version']}+deb{release[1]}_*.deb")
    return found


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked") / "root"
    output("dpkg-deb", "--raw-extract", package, folder)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Iterator[PrivateRoot]:
    """A computer with pcscd and OpenSC, without other readers; Ada works there."""
    place = tmp_path / "private"
    place.mkdir()
    with private_root(place) as root:
        root.run("sh", "-c", "rm -f /etc/reader.conf.d/*")
        root.run("useradd", "--create-home", "--shell", "/bin/bash", "ada")
        root.run("groupadd", "--force", "--system", "cloudcard")
        root.run("usermod", "--append", "--groups", "cloudcard", "ada")
        yield root


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    with Nursery(tmp_path / "logs") as nursery:
        yield nursery


def start_pcscd(root: PrivateRoot, nursery: Nursery) -> None:
    """Start it as a computer without systemd and polkit does."""
    known = WITHOUT_POLKIT in root.run("/usr/sbin/pcscd", "--help")
    options = [WITHOUT_POLKIT] if known else []
    nursery.start("pcscd", *root.command("/usr/sbin/pcscd", "--foreground", *options))
    until((root.path / "run/cloudcard/reader.sock").exists, SECONDS)


def start_reader(root: PrivateRoot, nursery: Nursery, line: str) -> Child:
    words = root.command("bash", "-c", f"exec {line}", user="ada", folder="/home/ada")
    reader = nursery.start("reader", *words)
    reader.wait_for("is in the reader", timeout=SECONDS)
    return reader


def sign(root: PrivateRoot) -> None:
    """Sign with the local card, and verify the signature with the key of its certificate."""
    root.run(
        *("bash", "-ec"),
        "cd; echo text >letter; "
        f"pkcs11-tool --login --pin {PIN} --sign --id 01 --mechanism ECDSA-SHA256 "
        "--signature-format openssl --input-file letter --output-file letter.sig; "
        "pkcs11-tool --read-object --type cert --id 01 --output-file own.der; "
        "openssl x509 -inform der -in own.der -pubkey -noout >own.pem; "
        "openssl dgst -sha256 -verify own.pem -signature letter.sig letter",
        user="ada",
    )


def newer(unpacked: Path, folder: Path) -> Path:
    """The same package as a later version, with other readers."""
    control = unpacked / "DEBIAN" / "control"
    before = control.read_text()
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+later", before, flags=re.MULTILINE))
    try:
        output("dpkg-deb", "--root-owner-group", "-Znone", "--build", unpacked, folder)
    finally:
        control.write_text(before)
    [path] = folder.glob("*later*.deb")
    return path


def test_it_holds_what_a_workstation_needs_and_nothing_more(unpacked: Path) -> None:
    folders = (unpacked / PRIVATE[1:]).glob("*.dist-info")
    names = {folder.name.partition("-")[0].replace("_", "-").lower() for folder in folders}
    assert required("reader", "pcsc") | {"cloudcard"} <= names
    assert not {"sqlalchemy", "psycopg", "alembic", "opentelemetry-api", "pillow"} & names
    locked = output(sys.executable, ROOT / "tools/setup/part_of_lock.py", "reader", "pcsc")
    assert names - {"cloudcard"} <= set(re.findall(r"^([a-z0-9][\w.-]*)==", locked, re.MULTILINE))


def test_its_parts_are_in_their_places(unpacked: Path, package: Path) -> None:
    for place in (
        READERS,
        POLICY,
        UNIT,
        AGENT,
        "/usr/bin/cloudcard",
        "/usr/lib/pcsc/drivers/serial/libifdcloudcard.so",
        "/usr/lib/systemd/system/pcscd.service.d/cloudcard.conf",
        "/usr/share/bash-completion/completions/cloudcard",
        "/usr/share/fish/vendor_completions.d/cloudcard.fish",
        "/usr/share/man/man1/cloudcard-reader.1.gz",
        "/usr/share/polkit-1/rules.d/50-cloudcard.rules",
        "/usr/share/zsh/vendor-completions/_cloudcard",
        f"/usr/share/doc/{NAME}/copyright",
    ):
        assert (unpacked / place[1:]).exists(), place
    conffiles = (unpacked / "DEBIAN" / "conffiles").read_text().split()
    assert [each for each in conffiles if not each.startswith("/etc/cloudcard/")] == [READERS]
    this, following = sys.version_info.minor, sys.version_info.minor + 1
    depends = output("dpkg-deb", "--field", package, "Depends")
    if sys.base_prefix == "/usr":  # Debian's own Python runs the tests
        assert f"python3 (>= 3.{this}), python3 (<< 3.{following})" in depends
    assert package.stat().st_size < LIMIT_MB * 1_000_000


def test_nothing_in_it_tells_where_and_when_it_was_built(unpacked: Path, package: Path) -> None:
    listed = output("dpkg-deb", "--contents", package).splitlines()
    built = {line.split()[3] for line in listed if PRIVATE in line and "cloudcard_tools" in line}
    assert len(built) == 1  # the changelog's day
    ours = [*(unpacked / "usr/lib/pcsc").rglob("*.so"), *unpacked.rglob("_scard*.so")]
    assert len(ours) == 2
    assert all(b"/tmp/" not in path.read_bytes() for path in ours)
    assert [*unpacked.rglob("RECORD"), *unpacked.rglob("direct_url.json")] == []


def test_lintian_finds_nothing(package: Path) -> None:
    command = ["lintian", "--allow-root", package]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.stdout == ""
    assert said.returncode == 0, said.stderr


def test_its_life(
    root: PrivateRoot, package: Path, unpacked: Path, nursery: Nursery, tmp_path: Path
) -> None:
    """Installed, used, upgraded with what the administrator has changed, used again, purged."""
    before = root.written()
    deb = root.path / "tmp" / package.name
    deb.write_bytes(package.read_bytes())
    said = root.run("dpkg", "--install", f"/tmp/{package.name}")
    assert "shows Cloudcard's readers after a restart" in said
    version = f"cloudcard {PROJECT['version']}\n"
    assert root.run("cloudcard", "--version", user="ada") == version
    assert list((root.path / PRIVATE[1:]).rglob("*.pyc"))  # no user could compile them

    start_pcscd(root, nursery)
    start_reader(root, nursery, "cloudcard reader --local --algorithm p256")
    assert (root.path / "run/cloudcard/owner.0").read_text() == root.run("id", "-u", "ada")
    assert "Cloudcard 1 01 00" in root.run("opensc-tool", "--list-readers", user="ada")
    sign(root)
    nursery.stop("reader")

    readers = root.path / READERS[1:]
    changed = f"# Of this computer's administrator.\n{readers.read_text()}"
    readers.write_text(changed)
    nursery.stop("pcscd")
    later = newer(unpacked, tmp_path)
    (root.path / "tmp" / later.name).write_bytes(later.read_bytes())
    root.run("dpkg", "--install", f"/tmp/{later.name}")
    assert readers.read_text() == changed
    start_pcscd(root, nursery)
    start_reader(root, nursery, "cloudcard reader --local --algorithm p256")
    sign(root)
    nursery.stop("reader")
    nursery.stop("pcscd")

    root.run("dpkg", "--remove", NAME)
    assert readers.read_text() == changed
    root.run("dpkg", "--purge", NAME)
    left = {name for name in root.written() - before if not name.startswith("/home/ada/")}
    assert {name for name in left if (root.path / name[1:]).exists()} - existing(left) == set()
    assert not (root.path / "run/cloudcard").exists()


def existing(names: set[str]) -> set[str]:
    """Those that this computer has as well: folders in which something was changed."""
    return {name for name in names if Path(name).is_dir()}


def test_from_package_to_signed_file(
    root: PrivateRoot, package: Path, nursery: Nursery, tmp_path: Path
) -> None:
    """The commands of docs/workstation.md, at most five of them."""
    install, enrol, insert, signs = GUIDE.commands
    home = root.path / "home/ada"
    (home / package.name).write_bytes(package.read_bytes())
    (home / "letter.txt").write_text("Dear Bo\n")
    keystore = KeystoreProcess(tmp_path, nursery)
    user, phone = keystore.holder("ada")
    serial = keystore.card(user, phone)
    token = keystore.workstation_token("WARD7-PC3")

    root.run("bash", "-c", install.removeprefix("sudo "), folder="/home/ada")
    start_pcscd(root, nursery)
    root.run("bash", "-c", f"echo {token} | {enrol}", user="ada")
    reader = start_reader(root, nursery, insert.replace("SERIAL", serial))
    answered = f"{signs} --pin {PASSCODE}"
    signing = nursery.start(
        "signing", *root.command("bash", "-c", answered, user="ada", folder="/home/ada")
    )
    number = reader.wait_for(r"number (\d\d)", timeout=SECONDS)[1]
    with identity.channel(phone) as channel:
        holder = Phone(phone, channel)
        holder.approve(next(each for each in holder.watch() if isinstance(each, Ringing)), number)
    until(lambda: (home / "letter.sig").exists(), SECONDS)
    signing.wait(SECONDS)
    assert (home / "letter.sig").stat().st_size > 0
