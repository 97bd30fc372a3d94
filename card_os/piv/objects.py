"""GET DATA (SP 800-73-5 part 2, 3.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

from card_os import tlv
from card_os.apdu import Command
from card_os.piv import access
from card_os.piv.context import Context
from card_os.piv.names import ObjectTag, Tag
from card_os.status import SW, CardError

# Interindustry templates, returned under their own tag; all others are wrapped in a 53.
BARE = (ObjectTag.DISCOVERY, ObjectTag.BIOMETRIC_TEMPLATES)


@dataclass(frozen=True, slots=True)
class GetData:
    """GET DATA of one data object."""

    tag: int

    @classmethod
    def parse(cls, command: Command) -> GetData:
        """Raises 6A86 for P1-P2, 6700 without data, 6A80 for no tag list, 6A82 for no tag."""
        if (command.p1, command.p2) != (0x3F, 0xFF):
            raise CardError(SW.INCORRECT_P1P2)
        if not command.data:
            raise CardError(SW.WRONG_LENGTH)
        try:
            tag_list = tlv.decode_one(Tag.TAG_LIST, command.data)
        except tlv.TlvError as error:
            raise CardError(SW.WRONG_DATA, "no tag list") from error
        tag = int.from_bytes(tag_list)
        if tlv.encode_tag(tag) != tag_list:  # zeros before the tag, or nothing
            raise CardError(SW.NOT_FOUND)
        return cls(tag)


def get_data(context: Context, command: GetData) -> bytes:
    """Return a data object.

    6982 comes before 6A82: who may not read an object does not learn whether it is there.
    """
    rule = access.OBJECT_RULES.get(command.tag, access.Rule.ALWAYS)
    access.check(rule, context.session, context.number)
    contents = context.image.objects.get(command.tag)
    if contents is None:
        raise CardError(SW.NOT_FOUND)
    return tlv.encode(command.tag if command.tag in BARE else Tag.DATA, contents)
