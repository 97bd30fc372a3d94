"""Options of benches whose keystore has many people."""

from __future__ import annotations

import click

users_option = click.option(
    "--users",
    type=click.IntRange(100, 1_000_000),
    default=100_000,
    show_default=True,
    help="How many people the keystore has.",
)
database_option = click.option(
    "--database",
    "address",
    default="",
    metavar="URL",
    help="Use this empty PostgreSQL database instead of SQLite.",
)
