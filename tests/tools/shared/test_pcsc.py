"""What is said of a pcscd that polkit lets nobody use."""

from __future__ import annotations

import pytest

from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.trace import in_reader
from support.refusing_pcscd import Scard


@pytest.mark.usefixtures("refusing_pcscd")
def test_a_refused_context_has_its_cause_and_its_remedy() -> None:
    with pytest.raises(pcsc.PcscRefused, match=r"Access denied, 8010006A.*polkit") as refused:
        pcsc.require_admission()
    assert "--disable-polkit" in refused.value.remedy
    assert "access_pcsc" in refused.value.remedy


def test_a_refused_card_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    scard = Scard(late=True)
    monkeypatch.setattr(pcsc, "import_module", lambda _name: scard)
    with pytest.raises(pcsc.PcscRefused, match="polkit"), pcsc.connect(0, timeout=60):
        pass
    assert scard.asked == 1


@pytest.mark.usefixtures("refusing_pcscd")
def test_recording_at_a_reader_says_it_too() -> None:
    with pytest.raises(Failure, match=r"8010006A.*--disable-polkit"), in_reader.connected("PCD"):
        pass


def test_nobody_can_tell_without_pyscard(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def missing(name: str) -> None:
        asked.append(name)
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(pcsc, "import_module", missing)
    pcsc.require_admission()
    assert asked == ["smartcard.scard"]
