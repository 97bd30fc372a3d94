"""Certificates of the keystore's own transport."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_keystore.pki.building import ca, self_signed, server_certificate
from support.keystore_world import World

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_a_start_with_the_clock_ahead_makes_no_certificate_of_the_future(world: World) -> None:
    """Clients have clocks of their own: they accept it, whether it was the first start or not."""
    private = ec.generate_private_key(ec.SECP256R1())
    ahead = NOW + timedelta(hours=1)
    first, earlier = ca("made now", private, ahead), ca("made before", private, NOW)
    names = frozenset({"localhost"})
    world.clock.now = ahead
    identity = x509.load_der_x509_certificate(world.workstation().certificate)
    for made in (
        first.certificate,
        self_signed("enrolment", ahead).certificate,
        server_certificate(first, private.public_key(), names, ahead),
        server_certificate(earlier, private.public_key(), names, NOW + timedelta(days=300)),
        identity,
    ):
        assert made.not_valid_before_utc <= NOW <= made.not_valid_after_utc
