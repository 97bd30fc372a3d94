"""What ends when somebody leaves, in words and as facts."""

from __future__ import annotations

from collections.abc import Sequence

from cloud_keystore.model.people import UserState
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard_tools.shared.output import Value, counted

ENDED_LABELS = {
    "uuid12": "UUID",
    "name": "Name",
    "cards": "Cards revoked",
    "phones": "Phones removed",
    "invitations": "Invitations withdrawn",
    "requests": "Requests withdrawn",
    "sessions": "Sessions ended",
    "sign_ins": "Sign-ins ended",
    "accounts": "Accounts removed",
}


def ended(message: pb.CloseUserResponse) -> dict[str, Value]:
    """What has ended, or would end."""
    return {
        "closed": message.user.state == UserState.CLOSED,
        "cards": list(message.card_serials),
        "phones": list(message.phones),
        "invitations": message.invitations,
        "requests": message.operations,
        "sessions": message.sessions,
        "sign_ins": message.sign_ins,
        "accounts": list(message.accounts),
    }


def consequence(message: pb.CloseUserResponse) -> str:
    """What closing a person means, before somebody confirms it."""
    person = f"{message.user.display_name}, UUID {message.user.uuid12}"
    said = [f"{person}, is closed for ever; what happened stays in the journal."]
    if message.card_serials:
        which = _listed("card", "cards", message.card_serials)
        said.append(
            f"Revoked for ever, and their keys destroyed: {which}. What was encrypted for them can "
            "never be read again."
        )
    if message.phones:
        said.append(f"Removed for ever: {_listed('phone', 'phones', message.phones)}.")
    if message.accounts:
        which = _listed("Windows account", "Windows accounts", message.accounts)
        said.append(f"No longer those of the person: {which}.")
    open_ = [
        counted(number, one, several)
        for number, one, several in (
            (message.invitations, "invitation", "invitations"),
            (message.operations, "request", "requests"),
            (message.sessions, "session", "sessions"),
            (message.sign_ins, "sign-in", "sign-ins"),
        )
        if number
    ]
    if open_:
        said.append(f"This ends: {', '.join(open_)}.")
    return " ".join(said)


def _listed(one: str, several: str, names: Sequence[str]) -> str:
    return f"{one if len(names) == 1 else several} {', '.join(names)}"
