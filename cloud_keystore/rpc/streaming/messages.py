"""What streams tell workstations, as messages."""

from __future__ import annotations

from datetime import timedelta

from cloud_keystore.model.operations import Shown
from cloud_keystore.rpc.refusals import Refusal
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb


def operation(shown: Shown) -> pb.Operation:
    """An operation."""
    message = pb.Operation(
        id=shown.id,
        state=approval_pb2.OperationState.ValueType(shown.state),
        number=shown.number,
        qr_text=shown.qr_text,
    )
    message.qr_expire_time.FromDatetime(shown.qr_expire_time)
    message.create_time.FromDatetime(shown.create_time)
    message.expire_time.FromDatetime(shown.expire_time)
    return message


def refused(told: Refusal) -> pb.Refusal:
    """Why something was not done, without the call's end."""
    message = pb.Refusal(code=told.code.value[0], reason=told.reason, text=told.text)
    if told.retry_seconds is not None:
        message.retry_delay.FromTimedelta(timedelta(seconds=told.retry_seconds))
    return message
