"""The use cases of the processes that call others: mail servers, webhooks, authorities."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cloud_keystore.cards.external.errands import Errands
from cloud_keystore.cards.external.list_errands import ListErrands
from cloud_keystore.mail.posting import Posting
from cloud_keystore.mail.webhooks.signing import Signing
from cloud_keystore.people.phones import Phones
from cloud_keystore.run.offering.use_cases import MainUseCases
from cloud_keystore.run.opening import Parts


@dataclass(frozen=True, slots=True)
class MailUseCases:
    """Those of the process that sends e-mail, and to webhooks."""

    posting: Posting
    signing: Signing


@dataclass(frozen=True, slots=True)
class OutsideUseCases:
    """Those of the process that calls authorities outside of the keystore."""

    errands: Errands
    list_errands: ListErrands


def mail_use_cases(parts: Parts) -> MailUseCases:
    """Make the use cases of the process that tells people from an open keystore."""
    phones, mail = Phones(parts.database, parts.clock, os.urandom, parts.seal), parts.settings.mail
    posting = Posting(parts.database, parts.clock, os.urandom, parts.people, phones, mail)
    signing = Signing(parts.database, parts.clock, os.urandom, parts.seal)
    return MailUseCases(posting, signing)


def outside_use_cases(parts: Parts, main: MainUseCases) -> OutsideUseCases:
    """Make the use cases of the process that calls authorities from those of the main port."""
    return OutsideUseCases(
        Errands(parts.database, parts.clock, parts.seal, main.certifying),
        ListErrands(parts.database, parts.clock),
    )
