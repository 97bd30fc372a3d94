"""`ImportService`: many people at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloud_keystore.model.sheets.candidates import COLUMNS, Candidate, Outcome
from cloud_keystore.people.importing import Imported, Importing
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.identities import token_message
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import importing_pb2 as pb
from cloudcard.registry.v1 import importing_pb2_grpc

OUTCOME: Mapping[Outcome, pb.ImportOutcome.ValueType] = MappingProxyType(
    {
        Outcome.ADDED: pb.IMPORT_OUTCOME_ADDED,
        Outcome.THERE: pb.IMPORT_OUTCOME_THERE,
        Outcome.REFUSED: pb.IMPORT_OUTCOME_REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class ImportServicer(importing_pb2_grpc.ImportServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    importing: Importing

    async def ImportUsers(
        self, request: pb.ImportUsersRequest, context: Context
    ) -> pb.ImportUsersResponse:
        candidates = [
            Candidate(**{column: getattr(each, column) for column in COLUMNS})
            for each in request.candidates
        ]
        imported = await self.door.call(
            context,
            lambda caller: self.importing.import_users(
                candidates, dry_run=request.dry_run, actor=caller.actor
            ),
        )
        return pb.ImportUsersResponse(users=map(_imported, imported))


def _imported(imported: Imported) -> pb.ImportedUser:
    faults = [pb.Fault(column=f.column, reason=f.reason, fix=f.fix) for f in imported.faults]
    token = None if imported.token is None else token_message(imported.token)
    return pb.ImportedUser(
        outcome=OUTCOME[imported.outcome],
        uuid12=imported.uuid12,
        device_token=token,
        faults=faults,
    )
