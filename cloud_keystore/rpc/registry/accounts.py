"""`AccountService`: Windows accounts of people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_keystore.model.fields.accounts import Account
from cloud_keystore.model.lookups.directories import MAIL, SAM, UPN, USERS, AccountDirectory
from cloud_keystore.model.people import Identity
from cloud_keystore.people.contacts.account_directories import AccountDirectories, Found, Held
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
    directories: AccountDirectories

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

    async def SetAccountDirectory(
        self, request: pb.SetAccountDirectoryRequest, context: Context
    ) -> pb.SetAccountDirectoryResponse:
        def set_it(operator: Identity) -> bool:
            named = _directory(request.directory) if request.HasField("directory") else None
            return self.directories.set(request.organisation_id, named, actor=operator.actor)

        changed = await self.door.call(context, set_it)
        return pb.SetAccountDirectoryResponse(changed=changed)

    async def GetAccountDirectory(
        self, request: pb.GetAccountDirectoryRequest, context: Context
    ) -> pb.GetAccountDirectoryResponse:
        def get(who: Identity) -> Found:
            if request.user_id:
                return self.directories.of_person(request.user_id, actor=who.actor)
            return self.directories.of_organisation(request.organisation_id, actor=who.actor)

        found = await self.door.call(context, get)
        return pb.GetAccountDirectoryResponse(
            directory=None if found.directory is None else _directory_message(found.directory),
            is_own=found.is_own,
            email=found.email,
            upn=found.upn,
        )

    async def ListHeldAccounts(
        self, request: pb.ListHeldAccountsRequest, context: Context
    ) -> AsyncIterator[pb.ListHeldAccountsResponse]:
        async for some in self.door.listed(
            context,
            lambda who: map(_held, self.directories.held(request.organisation_id, actor=who.actor)),
        ):
            yield pb.ListHeldAccountsResponse(accounts=some)


def account_message(account: Account) -> pb.Account:
    """An account as a message."""
    message = pb.Account(
        name=account.name, upn=account.upn, state=account.state, source=account.source
    )
    message.create_time.FromDatetime(account.create_time)
    return message


def _held(held: Held) -> pb.HeldAccount:
    return pb.HeldAccount(
        account=account_message(held.account),
        user_id=held.user.id,
        user_name=held.user.display_name,
        organisation_id=held.user.organisation_id,
    )


def _directory(message: pb.AccountDirectory) -> AccountDirectory:
    return AccountDirectory(
        url=message.url,
        bind_dn=message.bind_dn,
        base_dn=message.base_dn,
        domain=message.domain,
        narrowing=message.filter or USERS,
        anchors=message.anchors,
        sam=message.sam_attribute or SAM,
        upn=message.upn_attribute or UPN,
        mail=message.mail_attribute or MAIL,
        plain=message.plain,
    )


def _directory_message(directory: AccountDirectory) -> pb.AccountDirectory:
    return pb.AccountDirectory(
        url=directory.url,
        bind_dn=directory.bind_dn,
        base_dn=directory.base_dn,
        domain=directory.domain,
        filter=directory.narrowing,
        anchors=directory.anchors,
        sam_attribute=directory.sam,
        upn_attribute=directory.upn,
        mail_attribute=directory.mail,
        plain=directory.plain,
    )
