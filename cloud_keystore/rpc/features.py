"""What a card profile switches on, as readers and operators are told it."""

from __future__ import annotations

from cloud_keystore.model.profiles import CardProfile
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2


def features(profile: CardProfile) -> workstation_pb2.Features:
    """The message that says so."""
    return workstation_pb2.Features(
        algorithms=[approval_pb2.Algorithm.ValueType(each) for each in sorted(profile.algorithms)],
        management_algorithm=profile.management or 0,
        global_pin=profile.global_pin,
        extensions=profile.extensions,
    )
