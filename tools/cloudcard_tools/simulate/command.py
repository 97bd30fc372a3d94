"""The command `cloudcard simulate`."""

from __future__ import annotations

import click

from cloudcard_tools.simulate.nhs import nhs


@click.group(
    epilog="""\b
Examples:
  cloudcard simulate nhs --clients clients.json
"""
)
def simulate() -> None:
    """Simulators of services around the card, for developers without a network."""


simulate.add_command(nhs)
