"""The driver's Makefile: what it installs, and malformed records under ASan and UBSan."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support.ifd_handler import SOURCES

RECORDS = 10_000  # make fuzz says a million


def make(*arguments: str) -> str:
    command = ["make", "--silent", "-C", str(SOURCES), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.timeout(300)
def test_malformed_records_kill_nothing_and_do_not_disturb_a_neighbour(tmp_path: Path) -> None:
    said = make(f"BUILD={tmp_path}", "fuzz", f"RECORDS={RECORDS}")
    found = re.fullmatch(
        r"(\d+) records on \d+ connections, (\d+) answers; the neighbour had (\d+)\n", said
    )
    assert found is not None, said
    assert int(found[1]) >= RECORDS
    assert int(found[2]) > 0
    assert int(found[3]) > 0


def test_what_is_installed(tmp_path: Path) -> None:
    make(f"BUILD={tmp_path / 'build'}", f"DESTDIR={tmp_path / 'root'}", "SLOTS=3", "install")
    installed = sorted(path for path in (tmp_path / "root").rglob("*") if path.is_file())
    names = ["/" + str(path.relative_to(tmp_path / "root")) for path in installed]
    assert names == [
        "/etc/reader.conf.d/cloudcard",
        "/usr/lib/pcsc/drivers/serial/libifdcloudcard.so",
        "/usr/lib/systemd/system/pcscd.service.d/cloudcard.conf",
    ]
    readers = installed[0].read_text()
    assert re.findall(r"DEVICENAME (\S+)", readers) == [
        f"/run/cloudcard/reader.sock:{slot}" for slot in range(3)
    ]
    assert len(set(re.findall(r'FRIENDLYNAME "(.+)"', readers))) == 3
    assert set(re.findall(r"LIBPATH (\S+)", readers)) == {names[1]}
    make(f"DESTDIR={tmp_path / 'root'}", "uninstall")
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []
