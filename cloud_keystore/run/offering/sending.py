"""The use cases of the processes that call others: mail servers, webhooks, authorities, brokers."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cloud_keystore.cards.external.errands import Errands
from cloud_keystore.cards.external.list_errands import ListErrands
from cloud_keystore.cards.spine.tickets import Tickets
from cloud_keystore.mail.posting import Posting
from cloud_keystore.mail.push.rings import Rings
from cloud_keystore.mail.webhooks.signing import Signing
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.rights.oidc_log_ins import OidcLogIns
from cloud_keystore.run.offering.use_cases import MainUseCases
from cloud_keystore.run.opening import Parts


@dataclass(frozen=True, slots=True)
class MailUseCases:
    """Those of the process that sends e-mail, to webhooks, and rings."""

    posting: Posting
    signing: Signing
    rings: Rings


@dataclass(frozen=True, slots=True)
class OutsideUseCases:
    """Those of the process that calls authorities, and an OpenID provider, outside of it."""

    errands: Errands
    list_errands: ListErrands
    tickets: Tickets
    oidc_log_ins: OidcLogIns


def mail_use_cases(parts: Parts) -> MailUseCases:
    """Make the use cases of the process that tells people from an open keystore."""
    phones, mail = Phones(parts.database, parts.clock, os.urandom, parts.seal), parts.settings.mail
    posting = Posting(parts.database, parts.clock, os.urandom, parts.people, phones, mail)
    signing = Signing(parts.database, parts.clock, os.urandom, parts.seal)
    subject = parts.settings.relying_party.origin
    rings = Rings(parts.database, parts.clock, os.urandom, parts.seal, subject)
    return MailUseCases(posting, signing, rings)


def outside_use_cases(parts: Parts, main: MainUseCases) -> OutsideUseCases:
    """Make the use cases of the process that calls authorities from those of the main port."""
    return OutsideUseCases(
        Errands(parts.database, parts.clock, parts.seal, main.certifying),
        ListErrands(parts.database, parts.clock),
        main.tickets,
        main.oidc_log_ins,
    )
