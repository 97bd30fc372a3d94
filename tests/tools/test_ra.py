"""The registration authority's commands, at a real keystore."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.profiles import DEFAULT_PROFILE, PROFILES
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.output import iso_time
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of an operator's identity, the keystore running."""
    folder = tmp_path_factory.mktemp("ra")
    with Nursery(folder / "logs") as nursery:
        KeystoreProcess(folder, nursery)
        yield folder / "operator"


def run(operator: Path, *arguments: str) -> Result:
    return CliRunner().invoke(ra, [*arguments, "--identity", str(operator)])


def ask(operator: Path, *arguments: str) -> dict[str, object]:
    done = run(operator, *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.output)
    return found


def test_profiles_as_json(operator: Path) -> None:
    done = run(operator, "profile", "list", "--json")
    found = {each["name"]: each for each in json.loads(done.output)}
    assert set(found) == set(PROFILES)
    assert [name for name, each in found.items() if each["default"]] == [DEFAULT_PROFILE]
    assert found["v2"]["serial_prefix"] == "150"
    assert [key["key_ref"] for key in found["v1"]["keys"]] == ["9A", "9D", "9E"]
    assert found["v2"]["keys"][1] == {
        "key_ref": "9C",
        "algorithm": "RSA-2048",
        "certificate": "advanced-signature",
    }
    assert found["sm-cs7"]["secure_messaging"] == "CS7"
    assert found["developer"]["management_key"] == "AES-192"
    assert "Ed25519" in found["developer"]["algorithms"]
    assert not found["v2"]["extensions"]


def test_profiles_as_a_table(operator: Path) -> None:
    lines = run(operator, "profile", "list").output.splitlines()
    (default,) = [line for line in lines if line.startswith(f"{DEFAULT_PROFILE}*")]
    assert "9A 9C 9D 9E RSA-2048" in default
    assert "150…" in default
    (developer,) = [line for line in lines if line.startswith("developer ")]
    assert "management key AES-192, extensions, factory passcodes" in developer
    assert len(lines) == len(PROFILES) + 1


def test_a_holder_with_an_account(operator: Path, tmp_path: Path) -> None:
    upn, sid = "ada@corp.example", "S-1-5-21-1-2-3-512"
    user = ask(operator, "user", "add", "Ada Byron", "--upn", upn, "--sid", sid)
    assert (user["upn"], user["sid"]) == (upn, sid)
    card = ask(operator, "card", "issue", str(user["id"]))
    assert card["profile"] == DEFAULT_PROFILE
    assert str(card["serial"]).startswith("150")
    shown = run(operator, "card", "show", str(card["serial"]), "--export", str(tmp_path))
    assert "9C" in shown.output
    assert {each.name for each in tmp_path.iterdir()} == {
        "9A.pem",
        "9C.pem",
        "9D.pem",
        "9E.pem",
        "ca.pem",
    }
    logon = x509.load_pem_x509_certificate((tmp_path / "9A.pem").read_bytes())
    assert upn.encode() in logon.public_bytes(Encoding.DER)


def test_an_account_that_is_none(operator: Path) -> None:
    done = run(operator, "user", "add", "Ada", "--upn", "ada")
    assert done.exit_code == 1
    assert "such as ada@corp.example" in done.output
    done = run(operator, "user", "add", "Ada", "--sid", "S-1-5-21-1-2-3-512")
    assert done.exit_code == 1
    assert "user principal name too" in done.output


def test_a_card_with_secure_messaging(operator: Path, tmp_path: Path) -> None:
    user = ask(operator, "user", "add", "Bo")
    card = ask(operator, "card", "issue", str(user["id"]), "--profile", "sm-cs2")
    keys = card["keys"]
    assert isinstance(keys, list)
    assert keys[0] == {
        "key_ref": "04",
        "algorithm": "P-256",
        "subject": None,
        "certificate_serial": None,
        "expires": None,
    }
    run(operator, "card", "show", str(card["serial"]), "--export", str(tmp_path))
    assert not (tmp_path / "04.pem").exists()


def test_a_profile_that_is_none(operator: Path) -> None:
    user = ask(operator, "user", "add", "Cy")
    done = run(operator, "card", "issue", str(user["id"]), "--profile", "v3")
    assert done.exit_code == 1
    assert "use one of v1, v2" in done.output


def test_organisations_and_policies(operator: Path) -> None:
    trust = str(ask(operator, "organisation", "add", "St Elsewhere")["id"])
    listed = json.loads(run(operator, "organisation", "list", "--json").output)
    assert [each["name"] for each in listed] == ["Default", "St Elsewhere"]
    again = run(operator, "organisation", "add", "St Elsewhere")
    assert again.exit_code == 1
    assert "already" in again.output

    assert "No policy is set" in run(operator, "policy", "list").output
    place = ("--organisation", trust, "--profile", "p256")
    first = ask(operator, "policy", "set", *place, "--passwordless", "--channel", "qr")
    assert (first["version"], first["passwordless"], first["channels"]) == (1, True, "qr")
    terms = ("--session-uses", "500", "--session-minutes", "480")
    second = ask(operator, "policy", "set", *place, *terms)
    assert (second["version"], second["session_uses"], second["session_seconds"]) == (2, 500, 28800)
    assert json.loads(run(operator, "policy", "list", "--json").output) == [second]
    assert json.loads(run(operator, "policy", "list", "--all", "--json").output) == [first, second]
    table = run(operator, "policy", "list").output
    assert "28800" in table
    assert "St Elsewhere" in table
    assert trust not in table
    model = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
    third = ask(operator, "policy", "set", *place, "--passkey-model", model.upper())
    assert (third["version"], third["passkey_models"]) == (3, model)

    demanded = ("--portal-passwords", "--portal-factor", "phone", "--portal-factor", "passkey")
    fourth = ask(operator, "policy", "set", *place, *demanded)
    assert (fourth["version"], fourth["portal_factors"]) == (4, "passkey phone")
    refused = run(operator, "policy", "set", *place, "--portal-factor", "sms")
    assert refused.exit_code == 1
    assert "without portal passwords" in refused.output
    ask(operator, "policy", "set", *place, "--passkey-model", model)

    show = ("policy", "show", "st else", "--profile", "p256")
    rows = json.loads(run(operator, *show, "--effective", "--json").output)
    assert {each["name"]: (each["value"], each["origin"]) for each in rows if each["value"]} == {
        "channels": ("push qr", "default"),
        "code_seconds": (3600, "default"),
        "largest_batch": (1, "default"),
        "largest_commitment_batch": (1, "default"),
        "passkeys": (True, "own"),
        "passkey_models": (model, "own"),
    }
    ask(operator, "organisation", "add", "Ward 7", "--parent", trust)
    table = run(operator, "policy", "show", "Ward 7", "--profile", "p256", "--effective").output
    assert f"{model}  inherited from St Elsewhere  {trust}/p256/5" in table
    assert "Nothing is set there" in run(operator, "policy", "show", "Ward 7").output
    assert run(operator, "policy", "show", "nothing").exit_code == 1

    user = str(ask(operator, "user", "add", "Grace")["id"])
    issue = ("card", "issue", user, "--profile", "p256")
    assert ask(operator, *issue, "--organisation", trust)["organisation"] == trust
    assert ask(operator, *issue)["organisation"] == "default"

    other = ask(operator, "organisation", "add", "Royal Infirmary")["id"]
    assert ask(operator, "policy", "set", "--organisation", "royal inf")["organisation"] == other


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("policy", "set", "--session-uses", "5"), "go together"),
        (
            ("policy", "set", "--session-uses", "5", "--session-minutes", "5", "--no-sessions"),
            "do not go together",
        ),
        (("policy", "set", "--largest-batch", "251"), "250"),
        (("policy", "set", "--passkey-model", "yubikey"), "no model of a passkey"),
        (("policy", "set", "--organisation", "nobody"), 'no organisation "nobody"'),
        (("policy", "set", "--profile", "v99"), "no profile v99"),
        (("card", "issue", "nobody", "--organisation", "nobody"), 'no organisation "nobody"'),
    ],
)
def test_a_policy_that_is_none(operator: Path, arguments: tuple[str, ...], says: str) -> None:
    done = run(operator, *arguments)
    assert done.exit_code != 0
    assert says in done.output


@pytest.fixture(scope="module")
def lin(operator: Path) -> dict[str, object]:
    """One of two people called Lin, with a card; she has an address of her own."""
    ask(operator, "user", "add", "Lin Wáng", "--email", "lin.w@example.org")
    made = ask(operator, "user", "add", "Lin Zhang", "--email", "lin@example.org")
    return ask(operator, "card", "issue", str(made["id"]), "--profile", "p256")


@pytest.mark.parametrize(
    "typed", ["lin@example.org", "LIN ZHANG", "Lin Zh", "lin  zhang", "{serial}", "{guid}"]
)
def test_a_card_by_what_people_have(typed: str, operator: Path, lin: dict[str, object]) -> None:
    shown = ask(operator, "card", "show", typed.format(**lin))
    assert shown["serial"] == lin["serial"]


def test_a_beginning_of_a_serial_number(operator: Path, lin: dict[str, object]) -> None:
    assert ask(operator, "card", "show", str(lin["serial"])[:12])["serial"] == lin["serial"]


def test_what_several_are_called_is_listed(operator: Path, lin: dict[str, object]) -> None:
    done = run(operator, "card", "issue", "lin")
    assert done.exit_code == 1
    assert re.search(r"Lin Wáng, UUID \d{12}, lin\.w@example\.org, active", done.output)
    zhang = rf"Lin Zhang, UUID \d{{12}}, lin@example\.org, card {lin['serial']}, active"
    assert re.search(zhang, done.output)
    # A whole name is that person's, although another one begins so.
    ask(operator, "user", "add", "Lin")
    assert ask(operator, "card", "issue", "lin", "--profile", "p256")["user_display_name"] == "Lin"


def test_what_nothing_is_called(operator: Path) -> None:
    done = run(operator, "card", "show", "nobody@example.org")
    assert done.exit_code == 1
    assert 'there is no card "nobody@example.org": cloudcard ra card list' in done.output
    done = run(operator, "device", "list", "li")
    assert "a beginning has at least 3 characters" in done.output


def test_other_things_by_their_names(operator: Path) -> None:
    pc = ask(operator, "workstation", "add", "WARD9-PC1")
    removed = ask(operator, "workstation", "remove", "ward9", "--reason", "broken", "--yes")
    assert (removed["id"], removed["state"]) == (pc["id"], "removed")
    # What is in use is meant, as long as there is one.
    again = ask(operator, "workstation", "add", "WARD9-PC1")
    removed = ask(operator, "workstation", "remove", "WARD9-PC1", "--reason", "broken", "--yes")
    assert removed["id"] == again["id"]
    assert ask(operator, "user", "add", "Phil", "--email", "phil@example.org")
    device = ask(operator, "device", "remove", "phil@example.org", "--reason", "lost", "--yes")
    assert device["state"] == "removed"


def test_lists_say_when_things_expire(operator: Path, lin: dict[str, object]) -> None:
    pc = ask(operator, "workstation", "add", "WARD8-PC2")
    listed = json.loads(run(operator, "workstation", "list", "--json").output)
    (found,) = [each for each in listed if each["id"] == pc["id"]]
    assert found["expires"] == pc["token_expires"]
    (first,) = json.loads(run(operator, "operator", "list", "--json").output)
    certificate = x509.load_pem_x509_certificate((operator / "certificate.pem").read_bytes())
    assert first["expires"] == iso_time(certificate.not_valid_after_utc)
    keys = ask(operator, "card", "show", str(lin["serial"]))["keys"]
    assert isinstance(keys, list)
    assert keys[0]["expires"] == lin["expires"]


def test_an_export_says_what_it_wrote(
    operator: Path, lin: dict[str, object], tmp_path: Path
) -> None:
    shown = ask(operator, "card", "show", str(lin["serial"]), "--export", str(tmp_path))
    assert shown["written"] == [
        str(tmp_path / name) for name in ("9A.pem", "9C.pem", "9D.pem", "9E.pem", "ca.pem")
    ]


def test_an_export_replaces_nothing(operator: Path, lin: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("kept")
    shown = run(operator, "card", "show", str(lin["serial"]), "--export", str(tmp_path))
    assert shown.exit_code == 1
    assert "ca.pem exists: name another folder" in shown.output
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
