"""Makes a guest's kernel and initrd from Debian's packages: `initrd.py FOLDER`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("busybox-static", "usbip")  # besides the kernel, unpacked and not installed
KERNEL = "linux-image-amd64"
MODULES = (
    *("usb/common/usb-common", "usb/core/usbcore", "usb/host/xhci-hcd", "usb/host/xhci-pci"),
    *("net/ethernet/intel/e1000/e1000", "usb/usbip/usbip-core", "usb/usbip/vhci-hcd"),
)
PROGRAMS = ("/usr/sbin/pcscd", "/usr/bin/opensc-tool", "/usr/bin/pkcs11-tool")
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
BUNDLE = Path("/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents")
# libccid knows readers by their numbers, and does not know ours yet.
OURS = {
    "ifdVendorID": "0x1209",
    "ifdProductID": "0x0001",
    "ifdFriendlyName": "Cloudcard Reader",
}
FOLDERS = ("bin", "dev", "etc", "lib/modules", "proc", "run", "sys", "tmp", "var", "root")


def main(folder: Path) -> None:
    """Make `vmlinuz` and `initrd.gz` in the folder."""
    packages = folder / "packages"  # which stay for the next time
    packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        unpacked, root = Path(work, "unpacked"), Path(work, "root")
        for package in (*PACKAGES, _kernel()):
            _unpack(package, packages, unpacked)
        for each in FOLDERS:
            (root / each).mkdir(parents=True)
        (vmlinuz,) = (unpacked / "boot").glob("vmlinuz-*")
        shutil.copy(vmlinuz, folder / "vmlinuz")
        _fill(root, unpacked)
        with (folder / "initrd.gz").open("wb") as initrd:
            _pack(root, unpacked / "bin/busybox", initrd.fileno())


def _kernel() -> str:
    """The package on which Debian's newest kernel depends."""
    said = subprocess.run(
        ["apt-cache", "depends", KERNEL], capture_output=True, text=True, check=True
    )
    found = re.search(r"Depends: (linux-image-\S+)", said.stdout)
    if found is None:
        raise SystemExit(f"apt knows no {KERNEL}: apt-get update")
    return found[1]


def _unpack(package: str, packages: Path, into: Path) -> None:
    if not list(packages.glob(f"{package}_*.deb")):
        subprocess.run(["apt-get", "--quiet=2", "download", package], cwd=packages, check=True)
    (archive,) = packages.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "--extract", archive, into], check=True)


def _fill(root: Path, unpacked: Path) -> None:
    shutil.copy(HERE / "guest-init", root / "init")
    (root / "init").chmod(0o755)
    shutil.copy(unpacked / "bin/busybox", root / "bin/busybox")
    _program(root, unpacked / "usr/sbin/usbip", "/usr/sbin/usbip")
    for each in PROGRAMS:
        _program(root, Path(each), each)
    opensc = f"{LIBRARIES}/opensc-pkcs11.so"
    _program(root, Path(opensc), "/usr/lib/opensc-pkcs11.so")
    for name in ("libpcsclite.so.1", "libgcc_s.so.1"):  # loaded by name
        _program(root, Path(LIBRARIES, name), f"{LIBRARIES}/{name}")
    longest = root.with_name("longest")
    subprocess.run(_compiler(HERE / "longest.c", longest), check=True)
    _program(root, longest, "/bin/longest")
    driver = BUNDLE / "Linux/libccid.so"
    _program(root, driver, str(driver))
    (root / str(BUNDLE)[1:] / "Info.plist").write_text(_readers(BUNDLE / "Info.plist"), "utf-8")
    drivers = unpacked / "lib/modules"
    for module in MODULES:
        (found,) = drivers.glob(f"*/kernel/drivers/{module}.ko")
        shutil.copy(found, root / "lib/modules")


def _compiler(source: Path, program: Path) -> list[str]:
    asked = ["pkg-config", "--cflags", "--libs", "libpcsclite"]
    flags = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    return ["cc", "-std=c11", "-O2", "-Wall", "-Werror", str(source), "-o", str(program), *flags]


def _program(root: Path, file: Path, place: str) -> None:
    """Put a file into the guest, and the libraries that it needs."""
    _put(root, file, place)
    said = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
    for library in _paths(said.splitlines()):
        _put(root, Path(library), library)


def _paths(lines: Iterable[str]) -> list[str]:
    return [word for line in lines for word in line.split() if word.startswith("/")]


def _put(root: Path, file: Path, place: str) -> None:
    target = root / place.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file.resolve(), target)


def _readers(plist: Path) -> str:
    text = plist.read_text("utf-8")
    for key, value in OURS.items():
        start = rf"(<key>{key}</key>\s*<array>)"
        text = re.sub(start, rf"\1<string>{value}</string>", text, count=1)
    return text


def _pack(root: Path, busybox: Path, out: int) -> None:
    names = b"".join(b"%b\n" % bytes(each.relative_to(root)) for each in sorted(root.rglob("*")))
    cpio = subprocess.run(
        [busybox, "cpio", "-o", "-H", "newc"],
        cwd=root,
        input=names,
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(["gzip", "-1"], input=cpio.stdout, stdout=out, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
