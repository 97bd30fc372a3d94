"""Phone numbers, in one form."""

from __future__ import annotations

import phonenumbers

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import text_field

LONGEST_PHONE = 64  # as it is typed
HOME = "GB"  # where numbers are that name no country


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
