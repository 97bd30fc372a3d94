"""`cloudcard ra profile`: the profiles from which cards are made."""

from __future__ import annotations

from collections.abc import Mapping

import click
import grpc

from card_os.piv.names import Cipher, CipherSuite
from cloudcard.registry.v1 import cards_pb2 as pb
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.registry.v1.profiles_pb2 import CustomProfile, ListCustomProfilesRequest
from cloudcard.registry.v1.profiles_pb2_grpc import ProfileServiceStub
from cloudcard_tools.ra.custom.profiles import (
    profile_create,
    profile_delete,
    profile_edit,
    profile_show,
)
from cloudcard_tools.ra.registry import ALGORITHM, list_options
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.output import Row

CIPHER: Mapping[int, str] = {
    Cipher.TDEA: "3DES",
    Cipher.AES_128: "AES-128",
    Cipher.AES_192: "AES-192",
    Cipher.AES_256: "AES-256",
}
CIPHER_SUITE: Mapping[int, str] = {int(suite): suite.name for suite in CipherSuite}
COLUMNS = {
    "name": "Profile",
    "series": "Series",
    "title": "What it is",
    "keys": "Keys",
    "serial_prefix": "Serial",
    "features": "Features",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra profile list
  cloudcard ra profile create series-8 --base v2 --series "Series 8" --oldest-client 1.10
  cloudcard ra profile show series-8
  cloudcard ra profile edit series-8 --oldest-client 1.11
  cloudcard ra profile delete series-8
"""
)
def profile() -> None:
    """Card profiles: what a new card is made of."""


@profile.command("list")
@list_options(COLUMNS)
def profile_list(caller: Caller) -> None:
    """List card profiles: the built-in ones, and those that organisations have defined. The one
    marked * is used if none is named.
    """
    with caller.service(_stubs) as (cards, profiles):
        built_in = {
            each.name: each for each in cards.ListProfiles(pb.ListProfilesRequest()).profiles
        }
        pages = listed(profiles.ListCustomProfiles, ListCustomProfilesRequest())
        defined = [each for page in pages for each in page.profiles]
    row = _whole if caller.as_json else _in_short
    rows = [row(each) for each in built_in.values()]
    rows += [_variant(row(built_in[each.base]), each) for each in defined]
    caller.print_rows(rows, COLUMNS, "No profiles.", spare=("features", "series"))


for command in (profile_create, profile_edit, profile_show, profile_delete):
    profile.add_command(command)


def _stubs(channel: grpc.Channel) -> tuple[CardServiceStub, ProfileServiceStub]:
    return CardServiceStub(channel), ProfileServiceStub(channel)


def _variant(base: Row, defined: CustomProfile) -> Row:
    """A profile that an organisation has defined, as its base is printed."""
    return {
        **base,
        "name": defined.name,
        "title": f"Of {defined.organisation_name}: as {defined.base}",
        "default": False,
        "base": defined.base,
        "series": defined.series,
        "serial_prefix": defined.serial_prefix,
        "validity_days": defined.validity_days,
        "oldest_client": defined.oldest_client or None,
        "organisation": defined.organisation_name,
        "cards": defined.cards,
    }


def _whole(message: pb.Profile) -> Row:
    features = message.features
    return {
        "name": message.name,
        "title": message.title,
        "default": message.default,
        "series": message.series,
        "serial_prefix": message.serial_prefix,
        "validity_days": message.validity_days,
        "keys": [
            {
                "key_ref": f"{key.key_ref:02X}",
                "algorithm": ALGORITHM.get(key.algorithm, "unknown"),
                "certificate": key.certificate,
            }
            for key in message.keys
        ],
        "algorithms": [ALGORITHM.get(each, "unknown") for each in features.algorithms],
        "secure_messaging": CIPHER_SUITE.get(message.cipher_suite),
        "management_key": CIPHER.get(features.management_algorithm),
        "global_pin": features.global_pin,
        "extensions": features.extensions,
        "factory_passcodes": message.factory_passcodes,
    }


def _in_short(message: pb.Profile) -> Row:
    features = {
        f"secure messaging {CIPHER_SUITE.get(message.cipher_suite)}": message.cipher_suite,
        f"management key {CIPHER.get(message.features.management_algorithm)}": (
            message.features.management_algorithm
        ),
        "global PIN": message.features.global_pin,
        "extensions": message.features.extensions,
        "factory passcodes": message.factory_passcodes,
    }
    return {
        "name": message.name + ("*" if message.default else ""),
        "series": str(message.series),
        "title": message.title,
        "keys": _keys(message),
        "serial_prefix": f"{message.serial_prefix}…",
        "features": ", ".join(name for name, there in features.items() if there),
    }


def _keys(message: pb.Profile) -> str:
    """Keys by algorithm, such as "9A 9C 9D RSA-2048"."""
    by_algorithm: dict[str, list[str]] = {}
    for key in message.keys:
        name = ALGORITHM.get(key.algorithm, "unknown")
        by_algorithm.setdefault(name, []).append(f"{key.key_ref:02X}")
    return ", ".join(f"{' '.join(refs)} {name}" for name, refs in by_algorithm.items())
