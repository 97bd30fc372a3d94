"""`AccountService`: Windows accounts of people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_keystore.model.fields.accounts import Account
from cloud_keystore.people.contacts.accounts import Accounts
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import accounts_pb2 as pb
from cloudcard.registry.v1 import accounts_pb2_grpc


@dataclass(frozen=True, slots=True)
class AccountServicer(accounts_pb2_grpc.AccountServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    accounts: Accounts

    async def AddAccount(
        self, request: pb.AddAccountRequest, context: Context
    ) -> pb.AddAccountResponse:
        account, added = await self.door.call(
            context,
            lambda operator: self.accounts.add(
                request.user_id, request.name, request.upn, actor=operator.actor
            ),
        )
        return pb.AddAccountResponse(account=account_message(account), added=added)

    async def UpdateAccount(
        self, request: pb.UpdateAccountRequest, context: Context
    ) -> pb.UpdateAccountResponse:
        account = await self.door.call(
            context,
            lambda operator: self.accounts.disable(
                request.user_id, request.name, disabled=request.disabled, actor=operator.actor
            ),
        )
        return pb.UpdateAccountResponse(account=account_message(account))

    async def RemoveAccount(
        self, request: pb.RemoveAccountRequest, context: Context
    ) -> pb.RemoveAccountResponse:
        removed = await self.door.call(
            context,
            lambda operator: self.accounts.remove(
                request.user_id, request.name, actor=operator.actor
            ),
        )
        return pb.RemoveAccountResponse(removed=removed)

    async def ListAccounts(
        self, request: pb.ListAccountsRequest, context: Context
    ) -> AsyncIterator[pb.ListAccountsResponse]:
        async for some in self.door.listed(
            context,
            lambda who: map(
                account_message, self.accounts.list_of(request.user_id, actor=who.actor)
            ),
        ):
            yield pb.ListAccountsResponse(accounts=some)


def account_message(account: Account) -> pb.Account:
    """An account as a message."""
    message = pb.Account(
        name=account.name, upn=account.upn, state=account.state, source=account.source
    )
    message.create_time.FromDatetime(account.create_time)
    return message
