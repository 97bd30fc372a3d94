"""Raises alerts, with their entry in the journal, in the transaction of what they report."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import KEYSTORE, Actor, ActorKind
from cloud_keystore.model.alerts import Alert, AlertKind
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.passcodes import MOST_GUESSES
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.storage import alerts, people
from cloud_keystore.storage.outbox import notifications as outbox


def raise_alert(
    connection: Connection,
    kind: AlertKind,
    card: Card | None,
    text: str,
    now: datetime,
    random: Random,
    identity: Identity | None = None,
) -> Alert:
    """Add an alert about a card, an identity, or both."""
    alert = Alert(new_id(now, random), kind, None, None, text, now)
    if identity is not None and identity.role is Role.WORKSTATION:
        alert = replace(alert, workstation_id=identity.id)
    elif identity is not None:
        alert = replace(alert, user_id=identity.user_id)
    if card is not None:
        alert = replace(alert, card_id=card.id, user_id=card.user_id)
    alerts.add(connection, alert)
    outbox.about_alert(connection, alert)
    raised = entries.about_alert(Kind.ALERT_RAISED, alert, now, KEYSTORE, {"text": text})
    journal.append(connection, raised)
    return alert


def too_many_refusals(
    connection: Connection, card: Card, workstation: Identity, now: datetime, random: Random
) -> Alert | None:
    """Add an alert that a card's holder gets no requests from a workstation for a while. Return
    None, and add nothing, if such an alert of both is not acknowledged yet.
    """
    kind = AlertKind.TOO_MANY_REFUSALS
    if alerts.is_open(connection, kind, card.id, workstation.id):
        return None
    text = (
        f"Many requests of card {card.serial} at workstation {workstation.display_name} were "
        "refused, ignored or withdrawn, and its holder gets no requests from there for a while. "
        "Ask the holder who made them; suspend the card, or remove the workstation, if nobody "
        "knows."
    )
    return raise_alert(connection, kind, card, text, now, random, workstation)


def repeated_unlocks(
    connection: Connection, card: Card, unlocks: int, now: datetime, random: Random
) -> Alert | None:
    """Add an alert, for the holder too, that a card was unlocked again and again. Return None, and
    add nothing, if such an alert of the card is not acknowledged yet.
    """
    kind = AlertKind.REPEATED_UNLOCKS
    if alerts.is_open(connection, kind, card.id):
        return None
    text = (
        f"Card {card.serial} was unlocked {unlocks} times, and its right passcode was not given in "
        "between: somebody may be guessing it. If the holder did not type all of the wrong "
        "passcodes, suspend the card and examine the workstations that the journal names."
    )
    return raise_alert(connection, kind, card, text, now, random)


def repeated_codes(
    connection: Connection, card: Card, codes: int, now: datetime, random: Random
) -> Alert | None:
    """Add an alert, for the holder too, that several unlock codes were made for a card within a
    day. Return None, and add nothing, if such an alert of the card is not acknowledged yet.
    """
    text = (
        f"{codes} unlock codes were made for card {card.serial} within a day. If its holder has "
        "not asked for all of them, suspend the card and ask the operators whom the journal names."
    )
    return _once(connection, AlertKind.REPEATED_CODES, card, text, now, random)


def code_used_up(connection: Connection, card: Card, now: datetime, random: Random) -> Alert | None:
    """Add an alert, for the holder too, that all tries of an unlock code were wrong, as
    `repeated_codes` does.
    """
    text = (
        f"All tries of an unlock code for card {card.serial} were wrong, and it has ended: "
        "somebody may be guessing. If the holder did not type all of them, suspend the card and "
        "remove the phone that the journal names."
    )
    return _once(connection, AlertKind.CODE_USED_UP, card, text, now, random)


def code_refused(
    connection: Connection, card: Card, device: Identity, now: datetime, random: Random
) -> Alert | None:
    """Add an alert, for the holder too, that an unlock code was given on a phone that comes from
    the code's maker, as `repeated_codes` does.
    """
    text = (
        f'An unlock code for card {card.serial} was given on the phone "{device.display_name}", '
        "which the operator who made the code has invited, alone or with others, or whose "
        "invitation was mailed to an address of that operator's. Ask the holder whether the phone "
        "is theirs; if not, suspend the card, remove the phone, and ask the operators whom the "
        "journal names."
    )
    return _once(connection, AlertKind.CODE_REFUSED, card, text, now, random)


def _once(
    connection: Connection, kind: AlertKind, card: Card, text: str, now: datetime, random: Random
) -> Alert | None:
    if alerts.is_open(connection, kind, card.id):
        return None
    return raise_alert(connection, kind, card, text, now, random)


def wrong_passcodes(
    connection: Connection, workstation: Identity, now: datetime, random: Random
) -> Alert | None:
    """Add an alert that a workstation checks no passcodes for a while. Return None, and add
    nothing, if such an alert of the workstation is not acknowledged yet.
    """
    kind = AlertKind.WRONG_PASSCODES
    if alerts.is_open(connection, kind, workstation_id=workstation.id):
        return None
    text = (
        f"{MOST_GUESSES} passcodes were wrong at workstation {workstation.display_name} within an "
        "hour, and it checks none for a while. Find out who is there; remove the workstation if "
        "nobody knows."
    )
    return raise_alert(connection, kind, None, text, now, random, workstation)


def new_device(
    connection: Connection, device: Identity, now: datetime, random: Random
) -> Alert | None:
    """Add a notice, for the holder alone, that a device was enrolled. Return None, and add nothing,
    if the holder has no other device.
    """
    known = people.list_devices(connection, device.user_id or "")
    others = [each for each in known if each.id != device.id]
    if not any(each.is_active(now) for each in others):
        return None
    text = (
        f'Another phone, "{device.display_name}", was enrolled for you at '
        f"{now:%Y-%m-%d %H:%M} UTC, and can approve in your name. If it is not yours, tell your "
        "registration authority at once, so that they remove it."
    )
    return raise_alert(connection, AlertKind.NEW_DEVICE, None, text, now, random, device)


def device_removed(
    connection: Connection, device: Identity, by: str, now: datetime, random: Random
) -> Alert:
    """Add a notice, for the holder alone, that a device was removed by the holder, from where `by`
    says.
    """
    text = (
        f'Your phone "{device.display_name}" was removed from {by} at {now:%Y-%m-%d %H:%M} UTC. '
        "If it was not you, somebody else acts in your name: tell your registration authority at "
        "once."
    )
    return raise_alert(connection, AlertKind.DEVICE_REMOVED, None, text, now, random, device)


def identity_ends(
    connection: Connection, identity: Identity, end: datetime, now: datetime, random: Random
) -> Alert:
    """Add an alert that an identity ends, because nobody has used it where it renews itself."""
    role = ActorKind[identity.role.name]
    text = (
        f"The {role} {identity.display_name} ends at {end:%Y-%m-%d}. It renews itself where it is "
        "used, and was not used for months: use it before that, or remove it. Afterwards it has to "
        "be invited anew."
    )
    if identity.role is Role.CLIENT:
        text = (
            f"The token of the {role} {identity.display_name} ends at {end:%Y-%m-%d}. Add another "
            "client, give its token to the program, and remove this one: cloudcard ra client add."
        )
    return raise_alert(connection, AlertKind.IDENTITY_ENDS, None, text, now, random, identity)


def journal_budget(
    connection: Connection, identity: Identity, now: datetime, random: Random
) -> Alert:
    """Add an alert that an identity has nearly used up its share of the journal."""
    role = identity.role.name.lower()
    text = (
        f"The {role} {identity.display_name} has caused nearly as many entries of the journal as "
        "it may: soon what it asks for is refused for a while, except for what ends something. The "
        "journal tells what it does. Remove it if nobody knows why; if its work needs more, set "
        f"--limit journal-{role}."
    )
    return raise_alert(connection, AlertKind.JOURNAL_BUDGET, None, text, now, random, identity)


def many_leave(
    connection: Connection, directory: Actor, most: int, now: datetime, random: Random
) -> Alert | None:
    """Add an alert that a directory closes no more people for a while. Return None, and add
    nothing, if such an alert is not acknowledged yet.
    """
    kind = AlertKind.MANY_LEAVE
    if alerts.is_open(connection, kind):
        return None
    name = people.names(connection, [directory.id]).get(directory.id, directory.id)
    text = (
        f"The directory {name} has closed {most} people within an hour, and closes no more for a "
        "while. Ask whoever looks after it whether all of them have left; if not, remove the "
        "client (cloudcard ra client remove). If it has to be more, set --limit leavers."
    )
    return raise_alert(connection, kind, None, text, now, random)


def card_authority(
    connection: Connection, name: str, since: datetime, now: datetime, random: Random
) -> Alert:
    """Add an alert that the authority of cards has a successor, which others have to trust."""
    text = (
        f"From {since:%Y-%m-%d} on, new cards are certified by the {name}. Install its certificate "
        "before that wherever cards are checked; `cloudcard keys authorities --export FOLDER` "
        "writes it on the keystore's computer."
    )
    return raise_alert(connection, AlertKind.CARD_AUTHORITY, None, text, now, random)


def revocation_list(
    connection: Connection, name: str, now: datetime, random: Random
) -> Alert | None:
    """Add an alert that no revocation list of an authority is signed. Return None, and add nothing,
    if such an alert is not acknowledged yet.
    """
    kind = AlertKind.REVOCATION_LIST
    if alerts.is_open(connection, kind):
        return None
    text = (
        f"No revocation list of the {name} is signed any longer: somebody has changed records of "
        "the database, which the log names. When the last list ends, whoever checks cards by it "
        "refuses all of them. Tell the keystore's administrator."
    )
    return raise_alert(connection, kind, None, text, now, random)


def stale_list(
    connection: Connection, name: str, ended: datetime, now: datetime, random: Random
) -> Alert:
    """Add an alert that the revocation list of an external authority has ended."""
    text = (
        f"The revocation list of {name} ended at {ended:%Y-%m-%d %H:%M} UTC: what it has revoked "
        "since then is not known here. Get its newest list: cloudcard ra ca crl. `ca external` "
        "says why none was fetched, and whether its cards are of use meanwhile."
    )
    return raise_alert(connection, AlertKind.STALE_LIST, None, text, now, random)


def local_operator(connection: Connection, name: str, now: datetime, random: Random) -> Alert:
    """Add an alert that an operator was invited without another operator."""
    text = (
        f"The operator {name} was invited on the keystore's computer, by somebody who has its "
        "sealing key. Remove the operator if nobody knows of it."
    )
    return raise_alert(connection, AlertKind.LOCAL_OPERATOR, None, text, now, random)


def undelivered(connection: Connection, now: datetime, random: Random) -> Alert | None:
    """Add an alert that somebody could not be told something by e-mail. Return None, and add
    nothing, if such an alert is not acknowledged yet.
    """
    kind = AlertKind.UNDELIVERED
    if alerts.is_open(connection, kind):
        return None
    text = (
        "E-mail to people was not delivered: `cloudcard ra notify list --failed` says to whom, "
        "what and why. Put right the address or the mail server, then `cloudcard ra notify retry`."
    )
    return raise_alert(connection, kind, None, text, now, random)


def webhook_disabled(
    connection: Connection, client: Identity, host: str, now: datetime, random: Random
) -> Alert:
    """Add an alert that an API client is not told of things any more."""
    text = (
        f"The API client {client.display_name} is told of nothing at {host} any more: nothing was "
        "taken there for days, or it does not want anything. `cloudcard ra webhook list` says why. "
        "When the program is well again, `cloudcard ra webhook retry` sends what was missed."
    )
    return raise_alert(connection, AlertKind.WEBHOOK_DISABLED, None, text, now, random, client)
