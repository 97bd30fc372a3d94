"""Runs the migrations on the connection that `Database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from cloud_keystore.storage import guesses, organisations, sign_ins, tables
from cloud_keystore.storage.bundles import finding
from cloud_keystore.storage.bundles import rows as bundles
from cloud_keystore.storage.contacts import (
    account_directories,
    accounts,
    domains,
    helping,
    memberships,
)
from cloud_keystore.storage.credentials import app_pins, phone_codes, unlock_codes
from cloud_keystore.storage.credentials.portal import (
    assents,
    codes,
    factors,
    passkeys,
    passwords,
    questions,
)
from cloud_keystore.storage.directories import entries, groups, mappings
from cloud_keystore.storage.enrolment import beginnings, problems, short_codes, software
from cloud_keystore.storage.issuing import (
    csrs,
    custom_profiles,
    est_servers,
    external,
    orders,
    planned_keys,
    spare_keys,
)
from cloud_keystore.storage.outbox import deliveries, notifications, webhooks
from cloud_keystore.storage.past import repeats
from cloud_keystore.storage.revocation import certificates, external_lists, felt, lists
from cloud_keystore.storage.rights import (
    assignments,
    custom_roles,
    log_in_passkeys,
    oidc,
    requests,
    visits,
)
from cloud_keystore.storage.sealing import key_holders
from cloud_keystore.storage.sharing import seats
from cloud_keystore.storage.spine import checks, logins
from cloud_keystore.storage.surveys import answers, feedback

# All tables are declared in the same one, by these modules.
METADATA = tables.metadata
assert key_holders.key_holder.metadata is METADATA  # noqa: S101
assert bundles.bundle.metadata is METADATA  # noqa: S101
assert finding.bundle_index.metadata is METADATA  # noqa: S101
assert certificates.certificate.metadata is METADATA  # noqa: S101
assert lists.revocation_list.metadata is METADATA  # noqa: S101
assert external_lists.external_list.metadata is METADATA  # noqa: S101
assert felt.felt_revocation.metadata is METADATA  # noqa: S101
assert guesses.guess.metadata is METADATA  # noqa: S101
assert account_directories.account_directory.metadata is METADATA  # noqa: S101
assert accounts.windows_account.metadata is METADATA  # noqa: S101
assert entries.directory_entry.metadata is METADATA  # noqa: S101
assert groups.directory_group.metadata is METADATA  # noqa: S101
assert mappings.group_mapping.metadata is METADATA  # noqa: S101
assert helping.help_contact.metadata is METADATA  # noqa: S101
assert memberships.membership.metadata is METADATA  # noqa: S101
assert domains.email_domain.metadata is METADATA  # noqa: S101
assert phone_codes.phone_code.metadata is METADATA  # noqa: S101
assert app_pins.app_pin.metadata is METADATA  # noqa: S101
assert unlock_codes.unlock_code.metadata is METADATA  # noqa: S101
assert seats.seat.metadata is METADATA  # noqa: S101
assert assents.assent.metadata is METADATA  # noqa: S101
assert factors.portal_factor.metadata is METADATA  # noqa: S101
assert passkeys.portal_passkey.metadata is METADATA  # noqa: S101
assert codes.mailed_code.metadata is METADATA  # noqa: S101
assert passwords.portal_password.metadata is METADATA  # noqa: S101
assert questions.security_question.metadata is METADATA  # noqa: S101
assert beginnings.beginning.metadata is METADATA  # noqa: S101
assert short_codes.short_code.metadata is METADATA  # noqa: S101
assert answers.survey_answer.metadata is METADATA  # noqa: S101
assert feedback.feedback.metadata is METADATA  # noqa: S101
assert orders.card_order.metadata is METADATA  # noqa: S101
assert planned_keys.planned_key.metadata is METADATA  # noqa: S101
assert csrs.card_csr.metadata is METADATA  # noqa: S101
assert est_servers.est_server.metadata is METADATA  # noqa: S101
assert external.external_authority.metadata is METADATA  # noqa: S101
assert problems.workstation_report.metadata is METADATA  # noqa: S101
assert checks.spine_check.metadata is METADATA  # noqa: S101
assert logins.spine_login.metadata is METADATA  # noqa: S101
assert software.client_software.metadata is METADATA  # noqa: S101
assert custom_profiles.custom_profile.metadata is METADATA  # noqa: S101
assert spare_keys.spare_key.metadata is METADATA  # noqa: S101
assert organisations.branch.metadata is METADATA  # noqa: S101
assert assignments.assignment.metadata is METADATA  # noqa: S101
assert custom_roles.custom_role.metadata is METADATA  # noqa: S101
assert requests.request.metadata is METADATA  # noqa: S101
assert visits.visit.metadata is METADATA  # noqa: S101
assert oidc.oidc_return.metadata is METADATA  # noqa: S101
assert log_in_passkeys.log_in_passkey.metadata is METADATA  # noqa: S101
assert visits.portal_visit.metadata is METADATA  # noqa: S101
assert sign_ins.sign_in.metadata is METADATA  # noqa: S101
assert notifications.notification.metadata is METADATA  # noqa: S101
assert webhooks.webhook.metadata is METADATA  # noqa: S101
assert deliveries.webhook_delivery.metadata is METADATA  # noqa: S101
assert repeats.repeatable.metadata is METADATA  # noqa: S101

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
