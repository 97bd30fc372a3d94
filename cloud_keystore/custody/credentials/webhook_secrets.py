"""The secrets of webhooks, by which API clients know what is from their keystore."""

from __future__ import annotations

from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.storage.outbox.webhooks import Secrets


def context(webhook_id: str) -> str:
    """What the secret of a webhook is sealed as."""
    return f"webhook {webhook_id}"


def old_context(webhook_id: str) -> str:
    """What the secret before is sealed as."""
    return f"webhook before {webhook_id}"


def close(seal: Seal, webhook_id: str, secret: bytes) -> Secrets:
    """The only secret of a webhook, sealed."""
    return Secrets(seal.close(secret, context(webhook_id)))


def rotate(seal: Seal, webhook_id: str, secret: bytes, before: Secrets) -> Secrets:
    """Another secret and the one before, sealed."""
    old = open_(seal, webhook_id, before, with_old=False)
    sealed_old = seal.close(old[0], old_context(webhook_id)) if old else None
    return Secrets(close(seal, webhook_id, secret).current, sealed_old)


def open_(seal: Seal, webhook_id: str, secrets: Secrets, *, with_old: bool) -> list[bytes]:
    """The secrets of a webhook, the current one first. Raises SealBroken."""
    opened = []
    if secrets.current is not None:
        opened.append(seal.open(secrets.current, context(webhook_id)))
    if with_old and secrets.old is not None:
        opened.append(seal.open(secrets.old, old_context(webhook_id)))
    return opened
