"""The options of the pages, and what makes no sense."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cloud_keystore.config import Address, Web
from cloud_keystore.model.rights.oidc import OidcTerms
from cloudcard_tools.serve.web_options import web_options


def given(*options: str) -> tuple[int, str, list[Web | None]]:
    """Status and output of a command with these options, and what it gets."""
    got: list[Web | None] = []

    @click.command()
    @web_options
    def command(web: Web | None) -> None:
        got.append(web)

    done = CliRunner().invoke(command, options)
    return done.exit_code, done.output, got


def test_the_port_for_cards_is_beside_that_of_the_pages() -> None:
    _, _, got = given("--web", "127.0.0.1:8080", "--web-cards", "127.0.0.1:8444")
    assert got == [Web(Address("127.0.0.1", 8080), cards=Address("127.0.0.1", 8444))]
    assert given()[2] == [None]


def test_a_provider_logs_operators_in() -> None:
    _, _, got = given(
        *("--web", "127.0.0.1:8080", "--web-oidc-issuer", "https://login.example.org"),
        *("--web-oidc-client-id", "keystore", "--web-oidc-secret-file", __file__),
        *("--web-oidc-roots", __file__),
    )
    here = str(Path(__file__).resolve())
    terms = OidcTerms("https://login.example.org", "keystore", __file__, here)
    assert got == [Web(Address("127.0.0.1", 8080), oidc=terms)]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--web-cards", "127.0.0.1:8444"), "go with --web"),
        (("--web", "127.0.0.1:8080", "--web-cards", "127.0.0.1:8080"), "another port than --web"),
        (("--web", "127.0.0.1:8080", "--web-cards", "8444"), "is not an address"),
        (("--web", "127.0.0.1:8080", "--web-cards", "127.0.0.1:x"), "is not an address"),
        (("--web-oidc-client-id", "keystore"), "go together, and with --web"),
        (
            ("--web", "127.0.0.1:8080", "--web-oidc-issuer", "https://login.example.org"),
            "go together, and with --web",
        ),
        (("--web-oidc-roots", __file__), "goes with --web-oidc-issuer"),
        (
            (
                *("--web", "127.0.0.1:8080", "--web-oidc-issuer", "http://login.example.org"),
                *("--web-oidc-client-id", "keystore", "--web-oidc-secret-file", __file__),
            ),
            "https://login.example.org",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], why: str) -> None:
    status, said, got = given(*options)
    assert (status, got) == (1, [])
    assert why in said
