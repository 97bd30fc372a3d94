"""The use cases of the port at which operators show their cards, and their making."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloud_keystore.border.table import NOBODY, Access
from cloud_keystore.people.rights.card_log_ins import CardLogIns
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.run.offering.use_cases import MainUseCases


@dataclass(frozen=True, slots=True)
class CardUseCases:
    """Those of the port of cards, whose process alone says which card was shown."""

    announcing: Announcing
    card_log_ins: CardLogIns

    @classmethod
    def of(cls, main: MainUseCases) -> CardUseCases:
        """Those of the main port that this port has too."""
        return cls(main.announcing, main.card_log_ins)


CARDS: Mapping[str, Access] = MappingProxyType(
    {
        "announcing.certify": NOBODY,
        "card_log_ins.trusted": NOBODY,
        "card_log_ins.make_code": NOBODY,  # TLS has proved whose card it is, to this process
    }
)
