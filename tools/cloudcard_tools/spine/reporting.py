"""`cloudcard spine report`: the keystore is told of a log-in with one of its cards."""

from __future__ import annotations

import sys

import click

from cloud_keystore.model.spine.tickets import LONGEST_TICKET
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.shared.caller import Caller, caller_options

LABELS = {"card": "Card", "told": "Told"}


@click.command(
    epilog="""\b
Examples:
  cloudcard spine report --card 1500000000000017 < ticket
  cloudcard spine report --card 1500000000000017 --json < ticket
"""
)
@click.option("--card", "serial", metavar="SERIAL", required=True, help="The holder's card.")
@caller_options("workstation")
def report(serial: str, caller: Caller) -> None:
    """Tell the keystore of a log-in with one of its cards; standard input has the ticket.

    The keystore asks its session broker (`cloudcard serve --spine`) whose the ticket is. If the
    holder's, it counts the log-in, and takes over the name that is registered there.
    """
    ticket = sys.stdin.readline(LONGEST_TICKET + 2).strip()
    with caller.service(WorkstationServiceStub) as stub:
        stub.ReportTicket(pb.ReportTicketRequest(card_serial=serial, ticket=ticket))
    caller.print_facts({"card": serial, "told": True}, LABELS)
