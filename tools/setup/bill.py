"""Writes what the product contains: cloudcard.cdx.json, a bill of materials in CycloneDX that goes
into the wheel, and THIRD-PARTY.md, the licences. Both are made from requirements.lock alone, so
anybody can make them again.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
BILL = ROOT / "cloudcard.cdx.json"
LICENCES = ROOT / "THIRD-PARTY.md"

PACKAGE = re.compile(r"(?P<name>[a-z0-9][\w.-]*)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
VIA = re.compile(r"#(?: via)?\s+(?P<name>[a-z0-9][\w.-]*)( \(pyproject\.toml\))?$")

# Of packages that do not state their licence as an expression (PEP 639): what their texts say.
STATED = {
    "aiosmtplib": "MIT",
    "anyascii": "ISC",
    "asn1crypto": "MIT",
    "cattrs": "MIT",
    "certifi": "MPL-2.0",
    "charset-normalizer": "MIT",
    "email-validator": "Unlicense",
    "h11": "MIT",
    "jinja2": "BSD-3-Clause",
    "joserfc": "BSD-3-Clause",
    "lark": "MIT",
    "lxml": "BSD-3-Clause",
    "markdown-it-py": "MIT",
    "mdurl": "MIT",
    "protobuf": "BSD-3-Clause",
    "pyasn1": "BSD-2-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "pyopenssl": "Apache-2.0",
    "pyscard": "LGPL-2.1-or-later",
    "requests": "Apache-2.0",
    "rich": "MIT",
    "segno": "BSD-3-Clause",
    "tzdata": "Apache-2.0",
}


@dataclass(frozen=True, slots=True)
class Package:
    """A locked package: the hashes of its files, and who requires it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    required_by: frozenset[str]

    @property
    def purl(self) -> str:
        """Its name in bills of materials (package-url's type "pypi")."""
        return f"pkg:pypi/{self.name}@{self.version}"


def packages(lock: str) -> list[Package]:
    """The packages of a lock file."""
    return list(_packages(lock))


def _packages(lock: str) -> Iterator[Package]:
    blocks = re.split(r"\n(?=[a-z0-9])", lock)
    for block in blocks:
        if (found := PACKAGE.match(block)) is None:
            continue
        via = [VIA.search(line) for line in block.splitlines()]
        required_by = frozenset(each["name"] for each in via if each is not None)
        yield Package(found["name"], found["version"], tuple(HASH.findall(block)), required_by)


def licence(name: str, known: Mapping[str, str]) -> str:
    """The licence of a package as an SPDX expression; of one that this system does not need, what
    is known. Raises LookupError if nothing is.
    """
    try:
        said = metadata(name).get("License-Expression") or STATED.get(name)
    except PackageNotFoundError:
        said = STATED.get(name) or known.get(name)
    if said is None:
        raise LookupError(f"{name} does not state its licence: read it, and add it to STATED")
    return said


def bill(project: Mapping[str, object], found: list[Package], licences: Mapping[str, str]) -> str:
    """The bill of materials (CycloneDX 1.6)."""
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    purls = {each.name: each.purl for each in found} | {str(project["name"]): own}
    contents: dict[str, object] = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"expression": project["license"]}],
                "purl": own,
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": each.purl,
                "name": each.name,
                "version": each.version,
                "licenses": [{"expression": licences[each.name]}],
                "purl": each.purl,
                "externalReferences": [
                    {
                        "type": "distribution",
                        "url": f"https://pypi.org/project/{each.name}/{each.version}/",
                        "hashes": [{"alg": "SHA-256", "content": one} for one in each.hashes],
                    }
                ],
            }
            for each in found
        ],
        "dependencies": [
            {
                "ref": purls[name],
                "dependsOn": [each.purl for each in found if name in each.required_by],
            }
            for name in sorted(purls)
        ],
    }
    number = uuid5(NAMESPACE_URL, json.dumps(contents, sort_keys=True))
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
    }
    return json.dumps(head | contents, indent=1) + "\n"


def list_of_licences(found: list[Package], licences: Mapping[str, str]) -> str:
    """The licences as a table."""
    rows = [
        f"| [{each.name}](https://pypi.org/project/{each.name}/) | {each.version} | "
        f"{licences[each.name]} |"
        for each in found
    ]
    return "\n".join(
        [
            "# Packages of others",
            "",
            "What `pip install 'cloudcard[all]'` brings, with the versions of `requirements.lock`. "
            "`make sbom` makes this list; the wheel has it as CycloneDX.",
            "",
            "| package | version | licence (SPDX) |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def written() -> dict[Path, str]:
    """Both files as they should be."""
    found = packages(LOCK.read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    licences = {each.name: licence(each.name, _known()) for each in found}
    return {
        BILL: bill(project, found, licences),
        LICENCES: list_of_licences(found, licences),
    }


def _known() -> dict[str, str]:
    """The licences in the bill that is there."""
    if not BILL.exists():
        return {}
    components = json.loads(BILL.read_text("utf-8"))["components"]
    return {each["name"]: each["licenses"][0]["expression"] for each in components}


def main() -> None:
    """Write both files."""
    try:
        for path, text in written().items():
            path.write_text(text, "utf-8")
    except LookupError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
