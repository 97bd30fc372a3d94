"""Phone numbers, in one form, and the codes by which one is verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import phonenumbers

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import text_field

CODE_DIGITS = 6
CODE_TIME = timedelta(minutes=10)
CODE_TRIES = 5
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST_CODES = {HOUR: 3, DAY: 10}  # to one number within such a time
LONGEST_PHONE = 64  # as it is typed
HOME = "GB"  # where numbers are that name no country


@dataclass(frozen=True, slots=True)
class PhoneCode:
    """A code that was sent to a user's number. It is derived, and kept nowhere."""

    id: str
    user_id: str
    phone: str
    tries_left: int
    create_time: datetime
    expire_time: datetime
    end_time: datetime | None = None  # it was right, or another one was sent

    def is_live(self, now: datetime) -> bool:
        """Whether it can still be given."""
        return self.end_time is None and now < self.expire_time and self.tries_left > 0


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether a code was right; if not, how many tries are left."""

    phone: str
    is_verified: bool
    tries_left: int = 0


def phone(text: str) -> str:
    """A phone number as E.164 has it, such as "+447700900123" for "07700 900 123"; empty if there
    is none. Whether anybody has the number is not known. Raises InvalidInput.
    """
    text = text_field("phone", text, LONGEST_PHONE, required=False)
    if not text:
        return ""
    try:
        number = phonenumbers.parse(text, HOME)
    except phonenumbers.NumberParseException:
        number = phonenumbers.PhoneNumber()
    # A number that is only possible within a town has no E.164.
    why = phonenumbers.is_possible_number_with_reason(number)
    if (
        why != phonenumbers.ValidationResult.IS_POSSIBLE
        or number.extension
        or any(each.isalpha() for each in text)
    ):
        raise InvalidInput(
            "phone is no phone number: write it with its country, as +44 7700 900123"
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
