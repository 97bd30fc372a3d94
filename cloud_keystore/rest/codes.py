"""Codes that somebody has scanned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from cloud_keystore.operations.validating import LONGEST_CODE, Told, Validating
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.models import Asked


class ScannedCode(Asked):
    """A code, and perhaps whose it is to be."""

    text: Annotated[
        str,
        Field(max_length=LONGEST_CODE, description="What the QR code says: CLOUDCARD:… or cc1.…"),
    ]
    user_id: Annotated[
        str, Field(max_length=64, description="Whose it is to be; empty: anybody's.")
    ] = ""


class ValidatedCode(BaseModel):
    """What a code is. Only of one that is genuine, and about what the client sees, there is more
    than its state.
    """

    state: Annotated[
        str, Field(description="valid, used, expired, wrong-user, unknown or malformed")
    ]
    sort: Annotated[str | None, Field(description="operation, sign-in or enrolment")]
    user_id: str | None
    card: Annotated[str | None, Field(description="A serial number.")]
    organisation_id: str | None
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class CodeCalls:
    """What can be asked about codes."""

    validating: Validating

    def validate_qr(self, asked: ScannedCode) -> ValidatedCode:
        """Say whether the code that somebody has scanned is genuine and still good, without using
        it. What the client does not see is told as what is forged: unknown.
        """
        found = self.validating.validate(asked.text, asked.user_id, actor=current().actor)
        return _validated(found)


def _validated(found: Told) -> ValidatedCode:
    return ValidatedCode(
        state=found.state.value,
        sort=None if found.sort is None else found.sort.value,
        user_id=found.user_id or None,
        card=found.card_serial or None,
        organisation_id=found.organisation_id or None,
        expires=found.expire_time,
    )
