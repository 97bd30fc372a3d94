"""People, roles and organisations that do not exist, made from a seed: the same each time. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

DIGITS = 12  # of the numbers of people, of their roles and of their places in organisations
# Nobody has these codes: those of real organisations do not begin so.
ORGANISATIONS: Mapping[str, str] = {
    "ZZQ01": "ST ELSEWHERE HOSPITAL",
    "ZZQ02": "NOWHERE LANE SURGERY",
    "ZZQ03": "UTOPIA COMMUNITY PHARMACY",
    "ZZQ04": "ATLANTIS AMBULANCE SERVICE",
}
GIVEN = ("Alma", "Bram", "Cleo", "Dara", "Edda", "Finn", "Gwen", "Hugo", "Iris", "Joss")
FAMILY = ("Ashdown", "Birchall", "Corrigan", "Dunmore", "Elphick", "Farrow", "Garside", "Holloway")
TITLES = ("Dr", "Miss", "Mr", "Mrs", "Ms")


@dataclass(frozen=True, slots=True)
class Job:
    """A national role: its code, its name as a path of three, and what it may do."""

    code: str
    name: str
    activities: Mapping[str, str]


# Codes have the form of national roles, S####:G####:R####; activities, that of B####.
JOBS: Sequence[Job] = (
    Job(
        "S8000:G8000:R8000",
        '"Clinical":"Clinical Provision":"Clinical Practitioner Access Role"',
        {"B0401": "View Patient Medication", "B0360": "View Detailed Health Records"},
    ),
    Job(
        "S8000:G8000:R8001",
        '"Clinical":"Clinical Provision":"Nurse Access Role"',
        {"B0380": "Perform Detailed Health Record", "B0360": "View Detailed Health Records"},
    ),
    Job(
        "S8000:G8000:R8003",
        '"Clinical":"Clinical Provision":"Health Professional Access Role"',
        {"B0420": "Independent Prescribing", "B0360": "View Detailed Health Records"},
    ),
    Job(
        "S8001:G8005:R8000",
        '"Support":"Systems Support":"Systems Support Access Role"',
        {"B0016": "Receive Self Claimed LR Alerts"},
    ),
    Job(
        "S8002:G8003:R8008",
        '"Administrative":"Admin and Clerical":"Admin/Clinical Support Access Role"',
        {"B0008": "Analyse Audit Trails"},
    ),
    Job(
        "S0080:G0450:R5080",
        '"Admin and Clerical":"Management - A and C":"Registration Authority Manager"',
        {"B1300": "Manage RBAC Roles"},
    ),
)


@dataclass(frozen=True, slots=True)
class Role:
    """What a person does in an organisation."""

    id: str
    place: str
    """The number of the person's place in the organisation."""
    organisation: str
    job: Job

    def claim(self) -> dict[str, object]:
        """As an element of the claim `nhsid_nrbac_roles`."""
        return {
            "person_orgid": self.place,
            "person_roleid": self.id,
            "org_code": self.organisation,
            "role_name": self.job.name,
            "role_code": self.job.code,
            "activities": list(self.job.activities.values()),
            "activity_codes": list(self.job.activities),
            "workgroups": [],
            "workgroups_codes": [],
            "aow": [],
            "aow_codes": [],
        }


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist, or the holder of a card."""

    id: str
    given: str
    family: str
    title: str = ""
    roles: Sequence[Role] = ()
    passphrase: str = field(default="", repr=False)
    """With the one-time code, how a person of the directory logs in without a card."""
    code_key: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """Family name first, in capitals, and the title last."""
        return " ".join(part for part in (self.family.upper(), self.given, self.title) if part)

    @property
    def email(self) -> str:
        """An address at which nobody is."""
        return f"{self.id}@example.invalid"

    @property
    def organisations(self) -> Sequence[str]:
        """The codes of those where the person has a role."""
        return tuple(dict.fromkeys(role.organisation for role in self.roles))

    @property
    def code_secret(self) -> str:
        """The key of the one-time codes, as authenticator programs take it."""
        return base64.b32encode(self.code_key).decode("ascii")

    def role(self, role_id: str) -> Role | None:
        """One of the person's roles."""
        return next((each for each in self.roles if each.id == role_id), None)


# How many roles the people of the directory have: without any is legal, one is chosen at once, up
# to five make a list, and more a search.
ROLE_COUNTS = (0, 1, 2, 3, 5, 7)
OF_CARDS = 3


@dataclass(frozen=True, slots=True)
class Directory:
    """All people of a seed."""

    seed: int

    def people(self) -> Sequence[Person]:
        """Those of the directory itself."""
        return [self._person(place, count) for place, count in enumerate(ROLE_COUNTS)]

    def person(self, person_id: str) -> Person | None:
        """One of the directory's own people."""
        return next((each for each in self.people() if each.id == person_id), None)

    def holder(self, subject: str, common_name: str) -> Person:
        """The person whom a card's certificate names. "555073168108_Ada_Lovelace" has the number
        and the names; of other names the number is made from the whole subject.
        """
        number, *names = common_name.split("_")
        if len(number) == DIGITS and number.isascii() and number.isdigit() and len(names) > 1:
            known = self.person(number)
            if known is not None:
                return known
            given, family = names[0], " ".join(names[1:])
        else:
            number = self._number("holder", subject)
            given, _, family = common_name.rpartition(" ")
        return Person(number, given, family, roles=tuple(self._roles(number, OF_CARDS)))

    def _person(self, place: int, count: int) -> Person:
        number = self._number("person", str(place))
        draw = self._bytes("names", number)
        words = (GIVEN[each % len(GIVEN)].lower() for each in draw[3:7])
        return Person(
            number,
            GIVEN[(draw[0] + place) % len(GIVEN)],
            FAMILY[(draw[1] + place) % len(FAMILY)],
            TITLES[draw[2] % len(TITLES)],
            tuple(self._roles(number, count)),
            "-".join(words) + f"-{draw[7]}",
            self._bytes("code", number)[:20],
        )

    def _roles(self, number: str, count: int) -> Iterator[Role]:
        codes = list(ORGANISATIONS)
        start = self._bytes("roles", number)[0]
        for each in range(count):
            organisation = codes[(start + each) % len(codes)]
            yield Role(
                self._number("role", number, str(each)),
                self._number("place", number, organisation),
                organisation,
                JOBS[(start + each) % len(JOBS)],
            )

    def _number(self, *about: str) -> str:
        """Twelve digits without a 0 in front."""
        most = 9 * 10 ** (DIGITS - 1)
        return str(10 ** (DIGITS - 1) + int.from_bytes(self._bytes(*about)) % most)

    def _bytes(self, *about: str) -> bytes:
        return sha256("\n".join((str(self.seed), *about)).encode()).digest()
