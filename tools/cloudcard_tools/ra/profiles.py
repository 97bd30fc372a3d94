"""`cloudcard ra profile`: the profiles from which cards are made."""

from __future__ import annotations

from collections.abc import Mapping

import click

from card_os.piv.names import Cipher, CipherSuite
from cloudcard.registry.v1 import cards_pb2 as pb
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard_tools.ra.registry import ALGORITHM, list_options
from cloudcard_tools.shared.caller import Caller
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
    "title": "What it is",
    "keys": "Keys",
    "serial_prefix": "Serial",
    "features": "Features",
}


@click.group()
def profile() -> None:
    """Card profiles: what a new card is made of."""


@profile.command("list")
@list_options(COLUMNS)
def profile_list(caller: Caller) -> None:
    """List card profiles. The one marked * is used if none is named."""
    with caller.service(CardServiceStub) as stub:
        found = stub.ListProfiles(pb.ListProfilesRequest()).profiles
    row = _whole if caller.as_json else _in_short
    caller.print_rows([row(each) for each in found], COLUMNS, "No profiles.")


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
