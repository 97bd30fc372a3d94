"""Checks of this computer: programs, drivers, ports, clock."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from cloudcard_tools.doctor.checks import Check, Finding, failed, ok, warning
from cloudcard_tools.shared import pcsc, pcscd
from cloudcard_tools.shared.extras import install

READER_CONFIGURATION = Path("/etc/reader.conf.d")
SYSTEMD = Path("/run/systemd/system")
OPENSC_PLACES = (
    "/usr/lib/*/opensc-pkcs11.so",
    "/usr/lib/opensc-pkcs11.so",
    "/usr/lib64/*/opensc-pkcs11.so",
    "/usr/lib64/opensc-pkcs11.so",
)
WAKE_SECONDS = 2.0
OLDEST_PYTHON = (3, 11)
RELEASED = datetime(2025, 1, 1, tzinfo=UTC)  # this program is newer
INSTALL = "apt-get install pcscd vsmartcard-vpcd opensc (other systems: their package manager)"
ONLY_THIS_COMPUTER = """\
let only this computer reach them:
nft add table inet cloudcard
nft add chain inet cloudcard input '{ type filter hook input priority 0; }'
nft add rule inet cloudcard input iifname != lo tcp dport 35963-35964 drop"""


def python() -> Finding:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return failed(f"Python {version}", "install Python 3.11 or later and create .venv again")
    return ok(f"Python {version}")


def clock() -> Finding:
    """Whether the clock is plausible, so that certificates and expiry times can be checked."""
    now = datetime.now(UTC)
    shown = now.strftime("%Y-%m-%d %H:%M UTC")
    if now < RELEASED:
        return failed(f"the clock says {shown}", "set the clock: timedatectl set-ntp true")
    return ok(shown)


def pcscd_installed() -> Finding:
    """Whether the daemon is installed."""
    path = pcscd.program()
    return ok(path) if path else failed("there is no pcscd", INSTALL)


def pcscd_running() -> Finding:
    """Whether the daemon's socket answers, and what starts and ends the daemon."""
    if not pcscd.answers():
        path = pcscd.program()
        start = "systemctl enable --now pcscd.socket" if SYSTEMD.is_dir() else "sudo pcscd"
        if path is not None and not SYSTEMD.is_dir():
            start = pcscd.by_hand(path)
        return failed(f"nobody answers on {pcscd.SOCKET}", start)
    if "--auto-exit" in _pcscd_arguments():
        return ok("started on demand; ends after 60 s without programs, but the reader keeps it")
    return ok("runs")


def pcsc_service() -> Finding:
    """Whether a complete PC/SC call works, as an application needs it."""
    try:
        with pcsc.client() as client:
            names = client.readers()
    except ImportError:
        return warning("pyscard is not installed, so this was not tried", install("pcsc"))
    except pcsc.PcscError as error:
        return failed(f"PC/SC says: {error.message}", error.remedy)
    if not names:
        return failed("pcscd has no readers", "install vsmartcard-vpcd, then restart pcscd")
    return ok(", ".join(names))


def vpcd_driver() -> Finding:
    """Whether the reader configuration names vpcd, and its library is there."""
    try:
        files = sorted(READER_CONFIGURATION.iterdir())
        text = "\n".join(file.read_text(errors="replace") for file in files if file.is_file())
    except OSError:
        text = ""
    libraries = re.findall(r"^\s*LIBPATH\s+(\S*vpcd\S*)", text, re.MULTILINE)
    if not libraries:
        return failed(f"no reader in {READER_CONFIGURATION} uses vpcd", INSTALL)
    missing = [library for library in libraries if not Path(library).exists()]
    if missing:
        return failed(f"{missing[0]} does not exist", "apt-get install --reinstall vsmartcard-vpcd")
    if re.search(r"^\s*DEVICENAME\s+(?!/dev/null)\S+:0x8C7B", text, re.MULTILINE):
        return failed("vpcd is configured to connect out", "set DEVICENAME to /dev/null:0x8C7B")
    return ok(libraries[0])


def vpcd_ports() -> Finding:
    """Who can reach the virtual reader, and whether a card is in it."""
    if pcscd.answers():
        pcscd.wait_for_ports(WAKE_SECONDS)  # one that systemd has just started
    listening, occupied = pcscd.listening(), pcscd.occupied()
    missing = [str(port) for port in pcscd.PORTS if port not in listening]
    if missing:
        return failed(f"nobody listens on {', '.join(missing)}", "start or restart pcscd")
    cards = ", ".join(
        f"{port} {'holds a card' if port in occupied else 'free'}" for port in pcscd.PORTS
    )
    if any(not address.startswith("127.") for address in listening.values()):
        return warning(
            f"{cards}; open to the network, which vpcd cannot change", ONLY_THIS_COMPUTER
        )
    return ok(cards)


def opensc() -> Finding:
    """The PKCS#11 module that brings the card to applications."""
    root = Path("/")
    for place in OPENSC_PLACES:
        for found in root.glob(place.removeprefix("/")):
            return ok(str(found))
    return failed("there is no opensc-pkcs11.so", INSTALL)


def _pcscd_arguments() -> list[str]:
    try:
        pid = int(pcscd.PID_FILE.read_text())
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (OSError, ValueError):
        return []


EVERYWHERE = (Check("Python", python), Check("Clock", clock))
READER = (  # in the order in which they depend on each other
    Check("pcscd installed", pcscd_installed),
    Check("vpcd driver", vpcd_driver),
    Check("pcscd running", pcscd_running),
    Check("vpcd ports", vpcd_ports),
    Check("PC/SC", pcsc_service),
    Check("OpenSC", opensc),
)
CHECKS = EVERYWHERE + (READER if sys.platform == "linux" else READER[4:5])
