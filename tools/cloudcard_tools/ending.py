"""How a command ends: its exit status, and the one message that says why and what to do."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import click

from cloudcard_tools.shared.extras import install
from cloudcard_tools.shared.failures import SeveralFound
from cloudcard_tools.streams import Output, OutputLost

DEBUG = "CLOUDCARD_DEBUG"
ISSUES = "https://git.example.org/cloudcard/issues"
# Modules of extras that only some options of a command need.
EXTRAS = {"smartcard": "pcsc"}

DONE, FAILED, WRONG_USAGE = 0, 1, 2
# What a shell reports for a program that SIGINT or SIGPIPE has ended.
INTERRUPTED, NOBODY_READS = 130, 141

# What to do about what the operating system refuses.
ADVICE: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: ("DISK_FULL", "make room there, then try again"),
    errno.EDQUOT: ("DISK_FULL", "your quota there is used up: make room, then try again"),
    errno.EFBIG: ("DISK_FULL", "a file there may not be so large: choose another place"),
    errno.EACCES: ("NOT_PERMITTED", "use a place that this user may use, or the right user"),
    errno.EPERM: ("NOT_PERMITTED", "use a place that this user may use, or the right user"),
    errno.EROFS: ("NOT_PERMITTED", "choose a place that can be written"),
    errno.ENOENT: ("NOT_FOUND", "name one that exists"),
    errno.ENOTDIR: ("NOT_FOUND", "a folder of this path is a file: name another path"),
    errno.EISDIR: ("WRONG_KIND", "name a file, not a folder"),
    errno.EEXIST: ("EXISTS", "choose another name, or remove it first"),
    errno.ENAMETOOLONG: ("WRONG_KIND", "choose a shorter name"),
    errno.ELOOP: ("WRONG_KIND", "its symbolic links lead in a circle: name another path"),
    errno.EMFILE: ("TOO_MANY_FILES", "raise the limit of open files (ulimit -n)"),
    errno.ENFILE: ("TOO_MANY_FILES", "end other programs: the computer has too many open files"),
    errno.EIO: ("DEVICE_FAILED", "the device fails: see the system's log"),
    errno.EADDRINUSE: ("ADDRESS_IN_USE", "end the program that listens there, or choose another"),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """The exit status, the machine-readable reason, and the message; no message says nothing."""

    status: int
    reason: str = ""
    message: str = ""


def run(group: click.Group, arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status. Whatever ends the command is told in one
    message on standard error; with --json, an object on standard output tells it too.

    With CLOUDCARD_DEBUG=1 the place of an error is told as well.
    """
    output = sys.stdout
    try:
        returned: object = group.main(list(arguments), "cloudcard", standalone_mode=False)
        if isinstance(output, Output) and output.lost:
            _forget_output()  # the command went on without it
        elif sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as ended:
        # click ends in this way if nobody reads the output any more.
        if isinstance(output, Output) and output.lost:
            _forget_output()
            return NOBODY_READS
        return ended.code if isinstance(ended.code, int) else FAILED
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get(DEBUG) == "1":
            traceback.print_exception(error)
        ending = of(error)
        if isinstance(error, OutputLost):
            _forget_output()
        _tell(ending, error, as_json=_asks_for_json(arguments))
        return ending.status
    return returned if isinstance(returned, int) else DONE


def of(error: BaseException) -> Ending:
    """What an error means to the person who typed the command."""
    match error:
        case ExceptionGroup(exceptions=[only]):
            return of(only)
        case click.Abort() | KeyboardInterrupt() | EOFError():
            return _of_interruption(error)
        case click.UsageError():
            return Ending(WRONG_USAGE, "USAGE", error.format_message())
        case click.ClickException():
            reason = str(getattr(error, "reason", "") or "FAILED")
            return Ending(error.exit_code, reason, error.format_message())
        case ModuleNotFoundError(name=str(name)):
            extra = EXTRAS.get(name.partition(".")[0])
            fix = install(extra) if extra else "install cloudcard again"
            text = f"the Python module {name!r} is missing: {fix}"
            return Ending(FAILED, "MODULE_MISSING", text)
        case OutputLost():
            return _of_output(error)
        case OSError():
            return _of_system(error)
        case MemoryError():
            text = "there is not enough memory: end other programs, then try again"
            return Ending(FAILED, "NO_MEMORY", text)
        case UnicodeEncodeError(reason="surrogates not allowed"):
            text = "an argument has bytes that are no text: type it anew, in UTF-8"
            return Ending(WRONG_USAGE, "USAGE", text)
    return _of_packages(error) or _of_fault(error)


def _of_interruption(error: BaseException) -> Ending:
    """An end by Ctrl-C, or because a question got no answer."""
    if isinstance(error, EOFError) or isinstance(error.__cause__ or error.__context__, EOFError):
        text = "a question got no answer, because standard input has ended: nothing was changed"
        return Ending(FAILED, "NO_ANSWER", text)
    return Ending(INTERRUPTED, "INTERRUPTED", "interrupted")


def _of_system(error: OSError) -> Ending:
    """What the operating system refuses."""
    place = error.filename
    where = f"{os.fsdecode(place)}: " if isinstance(place, str | bytes) else ""
    what = error.strerror or " ".join(str(error).split()) or type(error).__name__
    usual = ("SYSTEM", "see the system's log, then try again")
    reason, advice = ADVICE.get(error.errno or 0, usual)
    return Ending(FAILED, reason, f"{where}{what}: {advice}")


def _of_packages(error: BaseException) -> Ending | None:
    """Errors of packages that are imported only if a command needs them."""
    from cloud_keystore.model.errors import KeystoreError

    if isinstance(error, KeystoreError):
        reason = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).upper()
        return Ending(FAILED, reason, str(error))
    if "grpc" in sys.modules:
        import grpc

        from cloudcard_tools.shared.calling import explain

        if isinstance(error, grpc.RpcError):
            return of(explain(error))
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import DBAPIError

        from cloud_keystore.storage.databases.failures import advice

        if isinstance(error, DBAPIError):
            said = " ".join(str(error.orig).split())
            return Ending(FAILED, "DATABASE", f"the database failed: {said}: {advice(said)}")
    if "subprocess" in sys.modules:
        from subprocess import CalledProcessError, TimeoutExpired

        if isinstance(error, CalledProcessError | TimeoutExpired):
            words = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
            how = "did not end" if isinstance(error, TimeoutExpired) else "failed"
            return Ending(FAILED, "PROGRAM_FAILED", f"{words} {how}: try it by itself")
    return None


def _of_fault(error: BaseException) -> Ending:
    """A fault of this program."""
    where = ""
    if frames := traceback.extract_tb(error.__traceback__):
        where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
    said = " ".join(str(error).split())
    what = f"{type(error).__name__}{where}" + (f": {said}" if said else "")
    return Ending(
        FAILED,
        "FAULT",
        f"this is a fault of cloudcard, not of yours ({what}). Report it at {ISSUES}, with what "
        f"the same command prints under {DEBUG}=1",
    )


def _of_output(error: OutputLost) -> Ending:
    """Standard output cannot be written."""
    if error.errno == errno.EPIPE:
        return Ending(NOBODY_READS)
    reason, advice = ADVICE.get(error.errno or 0, ("SYSTEM", "send it to another place"))
    text = f"standard output cannot be written: {error.strerror}: {advice}"
    return Ending(FAILED, reason, text)


def _forget_output() -> None:
    """Drop what could not be written, so that the interpreter's end does not fail at it again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _asks_for_json(arguments: Sequence[str]) -> bool:
    return "--json" in takewhile(lambda argument: argument != "--", arguments)


def _tell(ending: Ending, error: BaseException, *, as_json: bool) -> None:
    if not ending.message:
        return
    if isinstance(error, click.UsageError):
        error.show()
    else:
        click.echo(f"Error: {ending.message}", err=True)
    if as_json:
        told: dict[str, object] = {
            "reason": ending.reason,
            "message": ending.message,
            "exit_status": ending.status,
        }
        if isinstance(error, SeveralFound):
            told["matches"] = error.matches
        click.echo(json.dumps({"error": told}))
