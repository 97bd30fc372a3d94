"""Keeps a process that talks to others from the keystore's files."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from cloud_keystore import hardening
from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing.sealing_keys import TOKEN, Source
from cloud_keystore.run.offering import hosts

log = structlog.get_logger()


def confine(settings: Settings) -> None:
    """Let this process, which must have one thread yet, read the program and nothing else."""
    readable = hardening.program_files()
    if not hardening.confine(readable):
        log.warning("this system does not keep the process from the keystore's files")
    for each in _private(settings):
        if any(each.is_relative_to(place) for place in readable):
            log.warning("this is among what processes of the network may read", path=str(each))


def _private(settings: Settings) -> list[Path]:
    """What only custody is to read, and secrets of those by whom people are told."""
    named = [Source.parse(each, settings.token) for each in settings.sealing_keys]
    files = [settings.data, *(Path(each.where) for each in named if each.kind != TOKEN)]
    if settings.token is not None:
        files.append(settings.token.pin_file)
    if settings.mail is not None and settings.mail.password_file is not None:
        files.append(settings.mail.password_file)
    for hook in (settings.sms, settings.chat):
        if hook is not None and hook.secret_file is not None:
            files.append(hook.secret_file)
    if settings.chat is not None:
        files.append(settings.chat.url_file)
    if (provider := hosts.oidc(settings)) is not None:
        files.append(Path(provider.secret))
    if passwords := os.environ.get("PGPASSFILE"):
        files.append(Path(passwords))
    return [each.resolve() for each in files]
