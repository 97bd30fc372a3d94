"""The commands. They work directly on the database, on the keystore's computer, while it runs."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cloud_keystore.config import Settings
from cloud_keystore.custody.backends import destroying, starting
from cloud_keystore.custody.sealing import rotation, sealing_keys
from cloud_keystore.custody.sealing.seal import make_key_file
from cloud_keystore.custody.sealing.sealing_keys import FILE, Source
from cloud_keystore.model import finding
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.finding import Findable
from cloudcard_tools import new_files
from cloudcard_tools.keys.authorities import authorities
from cloudcard_tools.keys.opening import believed, opened
from cloudcard_tools.keys.operators import operator
from cloudcard_tools.keys.records import authenticate
from cloudcard_tools.shared import logs, output
from cloudcard_tools.shared.confirming import irreversible
from cloudcard_tools.shared.failures import Failure, FileExists
from cloudcard_tools.shared.finding import Words, choose, of_own
from cloudcard_tools.shared.output import json_option
from cloudcard_tools.shared.place import place_options
from cloudcard_tools.shared.sealing_options import SealingKeys, sealing_options

WORDS = Words("sealing key", "sealing keys", "cloudcard keys list")
IN_ORDER = "First the key that is to seal, then the keys that are in use."
IN_USE = "it may be in use; choose another name"
COLUMNS = {
    "id": "ID",
    "kind": "KIND",
    "state": "STATE",
    "values": "VALUES",
    "create_time": "CREATED",
    "retire_time": "RETIRED",
}


@click.group(
    epilog="""\b
Examples:
  (another sealing key without a pause)
  cloudcard keys add file:/etc/cloudcard/2027.key --make
  (restart each service with --sealing-key file:OLD --sealing-key file:/etc/cloudcard/2027.key,
   then each with both the other way round: the first is the one that seals)
  cloudcard keys rotate --sealing-key file:/etc/cloudcard/2027.key --sealing-key file:OLD
  cloudcard keys list
  cloudcard keys retire ID --sealing-key file:/etc/cloudcard/2027.key
  cloudcard keys sweep --sealing-key pkcs11:cloudcard --hsm-token cloudcard \\
      --hsm-module /usr/lib/softhsm/libsofthsm2.so --hsm-pin-file /etc/cloudcard/pin

\b
Others:
  cloudcard keys operator "Olga Hopper" --sealing-key file:/var/lib/cloudcard/sealing.key
  cloudcard keys authorities --export /root/authorities

\b
Each command takes SOURCE as file:PATH, passphrase:PATH, or pkcs11:NAME of a key in a token.
"""
)
def keys() -> None:
    """The keystore's own keys: sealing keys, authorities, and a way back for operators."""
    logs.apart()


@keys.command("list")
@place_options
@json_option
def list_(place: Settings, as_json: bool) -> None:
    """List the keys that the database knows, and how many values need each."""
    with opened(place) as database:
        found = rotation.list_keys(database)
    rows: list[output.Row] = [
        {
            "id": sealing_keys.key_text(each.key.id),
            "kind": each.key.kind,
            "state": "known" if each.key.retire_time is None else "retired",
            "values": each.values,
            "create_time": output.iso_time(each.key.create_time),
            "retire_time": None
            if each.key.retire_time is None
            else output.iso_time(each.key.retire_time),
        }
        for each in found
    ]
    output.print_rows(rows, COLUMNS, "No keystore has run on this folder yet.", as_json=as_json)


@keys.command()
@click.argument("source", metavar="SOURCE")
@click.option("--make", is_flag=True, help="Make the file of a file:PATH, with a new key.")
@sealing_options()
@place_options
@json_option
def add(
    source: str,
    make: bool,
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """Make SOURCE (file:PATH, passphrase:PATH or pkcs11:NAME) known to the database. Nothing is
    sealed under it yet.
    """
    with believed(place, sealing) as (database, _):
        parsed = Source.parse(source, sealing.token)
        if make:
            if parsed.kind != FILE:
                raise click.UsageError("--make works only with file:PATH")
            _make(parsed.path)
        key_id = sealing_keys.add_key(database, parsed, utc_now(), os.urandom, DATA_FOLDER)
    facts = {"id": sealing_keys.key_text(key_id), "source": source}
    output.print_facts(facts, {"id": "ID", "source": "Source"}, as_json=as_json)


@keys.command()
@sealing_options(IN_ORDER, required=True)
@place_options
@json_option
def rotate(
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """Seal every value anew under the first key, while services run, which must have that key.

    You can stop it at any time and start it again.
    """
    with believed(place, sealing) as (database, seal):
        done = sum(rotation.rotate(database, seal, utc_now))
    facts: output.Row = {"id": sealing_keys.key_text(seal.key_ids[0]), "values": done}
    output.print_facts(facts, {"id": "Sealed under", "values": "Changed"}, as_json=as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@irreversible(
    "The sealing key {key_id} is retired for ever: backups from before the rotation need it, and "
    "no keystore accepts it on this database again."
)
@sealing_options()
@place_options
@json_option
def retire(
    key_id: str,
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """Retire the key ID, or the one that begins so, if no value needs it any more. From then on it
    is refused.
    """
    with believed(place, sealing) as (database, _):
        texts = [sealing_keys.key_text(each.key.id) for each in rotation.list_keys(database)]
        known = [Findable(text, (text,), (), "") for text in texts]
        key_id = choose(WORDS, key_id, of_own(finding.find(key_id, known)))
        rotation.retire(database, key_id, utc_now(), DATA_FOLDER)
    output.print_facts({"id": key_id}, {"id": "Retired"}, as_json=as_json)


@keys.command()
@irreversible(
    "Every key of this keystore in the token that its database does not know is destroyed: after "
    "the restore of an old backup, those are the keys of newer cards."
)
@sealing_options(IN_ORDER, required=True)
@place_options
@json_option
def sweep(
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """Destroy this keystore's keys in the token that its database does not know.

    A crash while a card is made leaves such keys. Never run this after restoring an old backup,
    which does not know the keys of newer cards.
    """
    if sealing.token is None:
        raise click.UsageError("name the token: --hsm-module, --hsm-token and --hsm-pin-file")
    with believed(place, sealing) as (database, seal):
        held = starting.token_keys(sealing.token, seal)
        if held is None:
            raise Failure("there is no token")
        try:
            done = destroying.sweep(database, held, utc_now())
            done += destroying.sweep_orphans(database, held, utc_now())
        finally:
            held.pool.close()
    output.print_facts({"values": done}, {"values": "Keys destroyed"}, as_json=as_json)


def _make(path: Path) -> None:
    """Make a key file. Raises FileExists, even if somebody else makes one meanwhile."""
    new_files.require_new(path, IN_USE)
    try:
        make_key_file(path, os.urandom)
    except FileExistsError:
        raise FileExists(f"{path} exists: {IN_USE}") from None


keys.add_command(operator)
keys.add_command(authorities)
keys.add_command(authenticate)
