"""GET DATA and PUT DATA (SP 800-73-5 part 2, 3.1.2 and 3.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from card_os import data_objects, tlv
from card_os.administration import WriteObject
from card_os.apdu import Command
from card_os.dispatch import Reply
from card_os.keys import Exchange, ReadObject, Refusal
from card_os.piv import access, administrator
from card_os.piv.context import Context
from card_os.piv.names import ObjectTag, Tag
from card_os.piv.refusals import proof_ended, refused, unexpected
from card_os.status import SW, CardError

# Interindustry templates, returned under their own tag; all others are wrapped in a 53.
BARE = (ObjectTag.DISCOVERY, ObjectTag.BIOMETRIC_TEMPLATES)


@dataclass(frozen=True, slots=True)
class GetData:
    """GET DATA of one data object."""

    tag: int

    @classmethod
    def parse(cls, command: Command) -> GetData:
        """Raises 6A86 for wrong P1-P2, 6700 without data, 6A80 if the data is not a tag list, and
        6A82 if the list is not one tag.
        """
        _check_p1_p2(command)
        if not command.data:
            raise CardError(SW.WRONG_LENGTH)
        tag_list = data_objects.parse_one(Tag.TAG_LIST, command.data)
        tag = int.from_bytes(tag_list)
        if tlv.encode_tag(tag) != tag_list:  # empty, or leading zeros
            raise CardError(SW.NOT_FOUND)
        return cls(tag)


@dataclass(frozen=True, slots=True)
class PutData:
    """PUT DATA. Its data is checked after the administrator, so that others do not learn what is
    wrong with it.
    """

    data: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> PutData:
        """Raises 6A86 for wrong P1-P2."""
        _check_p1_p2(command)
        return cls(command.data)

    def content(self) -> tuple[int, bytes]:
        """The tag of the object and its new contents (part 2, tables 19 to 21).

        Raises 6A80 for data of another form.
        """
        match data_objects.parse(self.data):
            case [(tag, contents)] if tag in BARE:
                return tag, contents
            case [(Tag.TAG_LIST, tag_list), (Tag.DATA, contents)]:
                tag = int.from_bytes(tag_list)
                if tlv.encode_tag(tag) == tag_list and tag not in BARE:
                    return tag, contents
        raise CardError(SW.WRONG_DATA, "no tag list with data")


def get_data(context: Context, command: GetData) -> Reply:
    """Return a data object, or ask for it if the image does not hold its contents.

    Raises 6982 if the object requires the PIN, and 6A82 if the card does not have it. 6982 comes
    first, so that without the PIN a caller does not learn whether the object exists.
    """
    tag = command.tag
    proof = access.check(access.object_rule(tag), context.verified, context.number)
    if tag in context.image.withheld:
        return _ask(context, ReadObject(proof, tag))
    contents = context.image.objects.get(tag)
    if contents is None or not context.image.has_object(tag):
        raise CardError(SW.NOT_FOUND)
    return _whole(tag, contents)


def put_data(context: Context, command: PutData) -> Exchange:
    """Ask for new contents of a data object; empty contents remove it.

    Raises 6982 unless the administrator is authenticated, 6A80 for malformed data, 6A81 for an
    object that PIV does not have, and 6A84 if there is no room.
    """
    proof = administrator.proof(context)
    tag, contents = command.content()
    if not context.image.has_object(tag):
        raise CardError(SW.FUNCTION_NOT_SUPPORTED, "no such data object")
    request = WriteObject(proof, tag, contents)
    yield from administrator.change(context, request, SW.FUNCTION_NOT_SUPPORTED)
    return b""


def _ask(context: Context, request: ReadObject) -> Exchange:
    """Ask for the contents of an object.

    Raises 6982 if the proof is no longer accepted, 6A82 if the object is gone, and for another
    refusal the status word in `refusals`.
    """
    result = yield request
    match result:
        case bytes():
            return _whole(request.tag, result)
        case Refusal.PASSCODE_NEEDED:
            raise proof_ended(context)
        case Refusal():
            raise refused(result, SW.NOT_FOUND)
        case _:
            raise unexpected(result)


def _whole(tag: int, contents: bytes) -> bytes:
    return tlv.encode(tag if tag in BARE else Tag.DATA, contents)


def _check_p1_p2(command: Command) -> None:
    if (command.p1, command.p2) != (0x3F, 0xFF):
        raise CardError(SW.INCORRECT_P1P2)
