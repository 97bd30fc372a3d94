"""All that the prompt says, in one table for translators, and how it says numbers and times."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

TITLE = "Approve on your phone"
NUMBER = "Type this number on your phone"
SCAN = "Scan this code with your phone"
OR_SCAN = "Or scan this code"
CODE_OVER = "This code is no longer good. Type the number instead."
CODE_OVER_ALONE = "This code is no longer good. Cancel, and try again."
NUMBER_IS = "Number {words}: {digits}"
QR_NAME = "QR code to scan with your phone"
WORKSTATION, PROGRAM, PURPOSE, CARD, CHECK_CODE = "Asked at", "Program", "For", "Card", "Check code"
CHECK_CODE_HINT = "Your phone must show the same check code."
NOTICE = "Approve on your phone: {number} ({words})"
NO_CODE_HERE = "A QR code has to be scanned, which only a window or a terminal can show."
UNKNOWN_PROGRAM = "not known"
LEFT = "{time} left"
NO_TIME = "The time is over"
POSITION = "{which} of {count}"
PREVIOUS, NEXT = "Previous", "Next"
CANCEL = "Cancel"
CANCEL_HINT = "Withdraws the request: the program that asked is refused"
SURE = "Withdraw this request?"
SURE_HINT = "The program that asked is refused, and your phone stops ringing."
KEEP, WITHDRAW = "Keep waiting", "Withdraw"
CLOSE = "Close"

OUTCOMES: Mapping[str, str] = {
    "approved": "Approved.",
    "denied": "Denied.",
    "expired": "Nobody approved in time.",
    "cancelled": "Withdrawn: the application no longer waits.",
    "failed": "Approved, but the keystore gave no result: try again.",
    "unavailable": "The keystore is out of reach: try again later.",
}
USES: Mapping[str, str] = {"sign": "Sign", "decrypt": "Decrypt", "agree": "Agree on a secret"}
KEYS: Mapping[str, str] = {
    "9A": "authentication key (9A)",
    "9C": "signature key (9C)",
    "9D": "key management key (9D)",
    "9E": "card authentication key (9E)",
}
SIGN_IN = "sign_in"  # what is asked for, if not the use of a key
SIGNING_IN = "Sign in: your card goes into this computer's reader"
OTHER_KEY = "key {key}"
ONCE = "{use} with the {key}"
TIMES = "{use}, {count} times, with the {key}"
SESSION = "Session: {use} up to {count} times within {minutes} min with the {key}"

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
MINUTE, MINUTES, SECOND, SECONDS = "minute", "minutes", "second", "seconds"


def purpose(key: str, use: str, inputs: int, session_uses: int, session_seconds: int) -> str:
    """What the holder is asked to approve."""
    if use == SIGN_IN:
        return SIGNING_IN
    said = {"use": USES.get(use, use), "key": KEYS.get(key, OTHER_KEY.format(key=key))}
    if session_uses:
        return SESSION.format(**said, count=session_uses, minutes=ceil(session_seconds / 60))
    return (TIMES if inputs > 1 else ONCE).format(**said, count=inputs)


def in_words(number: str) -> str:
    """A number of two digits as people say it; one that begins with zero, digit by digit."""
    if len(number) != 2 or not number.isascii() or not number.isdigit() or number[0] == "0":
        return digit_by_digit(number)
    tens, ones = map(int, number)
    if tens == 1:
        return ONES[10 + ones]
    return f"{TENS[tens]}-{ONES[ones]}" if ones else TENS[tens]


def digit_by_digit(text: str) -> str:
    """Each digit as a word and each letter by itself, so that nothing is read as one word."""
    return " ".join(
        ONES[int(char)] if char.isascii() and char.isdigit() else char
        for char in text
        if char > " "
    )


def number_spelt(number: str) -> str:
    """A number in words, and digit by digit if that differs."""
    words, digits = in_words(number), digit_by_digit(number)
    return words if words == digits else f"{words} \u2013 {digits}"


def number_name(number: str) -> str:
    """A number for a screen reader."""
    return NUMBER_IS.format(words=in_words(number), digits=digit_by_digit(number))


def clock(seconds: float) -> str:
    """The time left, as a clock shows it."""
    minutes, rest = divmod(max(0, ceil(seconds)), 60)
    return LEFT.format(time=f"{minutes}:{rest:02}")


def clock_in_words(seconds: float) -> str:
    """The time left for a screen reader."""
    whole = max(0, ceil(seconds))
    if not whole:
        return NO_TIME
    minutes, rest = divmod(whole, 60)
    parts = ((minutes, MINUTE, MINUTES), (rest, SECOND, SECONDS))
    said = (f"{count} {one if count == 1 else more}" for count, one, more in parts if count)
    return LEFT.format(time=" ".join(said))
