"""`cloudcard authenticator questions`: what the holder does at the portal and the phone has to
agree to. The number that the portal shows is typed here, so that nobody agrees to what somebody
else does there.
"""

from __future__ import annotations

from functools import partial

import click

from cloud_keystore.model import finding
from cloud_keystore.model.finding import Findable, Sort
from cloud_keystore.model.portal.assents import Subject
from cloudcard.authenticator.v1.authenticator_pb2 import PortalQuestion
from cloudcard_tools.authenticator.phone import ROLE, Phone
from cloudcard_tools.authenticator.pin import permit, pin_stdin_option
from cloudcard_tools.shared.caller import Caller, caller_options, service
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.finding import Answer, Words, find, of_own
from cloudcard_tools.shared.identity import load
from cloudcard_tools.shared.output import Row, iso_time, print_json

COLUMNS = {
    "id": "Request",
    "subject": "About",
    "title": "Question",
    "answer_until": "Answer until",
}
SAID = {
    "agreed": "You have agreed. Go on at the portal.",
    "wrong": "that was another number than the portal's: it counts as a no. Begin again there",
    "denied": "You have said no.",
}
LOGGED_OUT = "Everybody is logged out at the portal. {}, and tell your registration authority."
KNOWS = "Somebody knows your password: set another one (cloudcard authenticator portal password)"
READS = (
    "Somebody reads your e-mail: the code there is good no longer. Set another password for your "
    "e-mail"
)
WAITING = Words("question", "questions", "cloudcard authenticator questions list")


@click.group(
    epilog="""\b
Examples:
  cloudcard authenticator questions list
  cloudcard authenticator questions yes log-in --number 42
  cloudcard authenticator questions no log-in
  cloudcard authenticator questions not-me log-in
"""
)
def questions() -> None:
    """What you do at the portal, and this phone is asked about. QUESTION is what it is about
    (log-in, factor, passcode, renewal, reset), a card's serial number, or an identifier's
    beginning.
    """


@questions.command("list")
@caller_options(ROLE)
def questions_list(caller: Caller) -> None:
    """List what this phone is asked now. A question is answered within two minutes."""
    with service(own := load(caller.folder), partial(Phone, own)) as phone:
        found = phone.questions()
    caller.print_rows([row(each) for each in found], COLUMNS, "Nothing is asked.", spare=("id",))


@questions.command("yes")
@click.argument("question")
@click.option("--number", required=True, help="The two digits that the portal shows.")
@pin_stdin_option
@caller_options(ROLE)
def questions_yes(question: str, number: str, pin_stdin: bool, caller: Caller) -> None:
    """Agree to QUESTION, which you have caused at the portal. There is one guess at the number."""
    if not (len(number) == 2 and number.isascii() and number.isdigit()):
        raise click.BadParameter("the number has two digits", param_hint="--number")
    with service(own := load(caller.folder), partial(Phone, own)) as phone:
        asked = _found(phone, question)
        permit(phone, asked.id, from_stdin=pin_stdin)
        agreed = phone.say_yes(asked.id, number)
    _told(caller, asked, "agreed" if agreed else "denied", SAID["agreed"])
    if not agreed and caller.as_json:
        # The document has told it.
        click.get_current_context().exit(1)
    if not agreed:
        raise Failure(SAID["wrong"])


@questions.command("no")
@click.argument("question")
@caller_options(ROLE)
def questions_no(question: str, caller: Caller) -> None:
    """Do not agree to QUESTION."""
    _deny(caller, question, is_me=True)


@questions.command("not-me")
@click.argument("question")
@caller_options(ROLE)
def questions_not_me(question: str, caller: Caller) -> None:
    """Do not agree to QUESTION, because somebody else is at the portal. Everybody is logged out
    there.
    """
    _deny(caller, question, is_me=False)


def row(question: PortalQuestion) -> Row:
    """A question, as programs get it."""
    return {
        "id": question.id,
        "subject": question.subject,
        "card": question.card_serial or None,
        "title": question.title,
        "text": question.text,
        "asked": iso_time(question.create_time.ToDatetime()),
        "answer_until": iso_time(question.answer_until.ToDatetime()),
    }


def not_me(question: PortalQuestion) -> str:
    """What has happened, and what to do, after somebody else has caused a question."""
    return LOGGED_OUT.format(READS if question.subject == Subject.RESET else KNOWS)


def _deny(caller: Caller, question: str, *, is_me: bool) -> None:
    with service(own := load(caller.folder), partial(Phone, own)) as phone:
        asked = _found(phone, question)
        phone.say_no(asked.id, is_me=is_me)
    _told(caller, asked, "denied", SAID["denied"] if is_me else not_me(asked))


def _told(caller: Caller, asked: PortalQuestion, state: str, text: str) -> None:
    if caller.as_json:
        print_json({**row(asked), "state": state})
        return
    click.echo(f"{asked.title} {asked.text}")
    if state == "agreed" or text != SAID["agreed"]:
        click.echo(text)


def _found(phone: Phone, question: str) -> PortalQuestion:
    """The question that a text names. Raises Failure."""
    waiting = phone.questions()

    def ask(_sort: Sort, text: str) -> Answer:
        return of_own(finding.find(text, map(_findable, waiting)))

    found = find(ask, Sort.OPERATION, question, words=WAITING)
    return next(each for each in waiting if each.id == found)


def _findable(question: PortalQuestion) -> Findable:
    called = (question.subject, question.card_serial)
    return Findable(question.id, (question.id,), called, question.title, (question.subject,))
