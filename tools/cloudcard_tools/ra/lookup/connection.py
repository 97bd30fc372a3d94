"""A connection to a directory: TLS, a bind, searches. Everything about it has a bound, and no other
server is asked, whatever this one says.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address

from cloud_keystore.model.lookups.directories import AccountDirectory
from cloud_keystore.model.lookups.filters import Filter
from cloudcard_tools.ra.lookup import messages
from cloudcard_tools.ra.lookup.messages import (
    Answer,
    Entry,
    NoMessage,
    Reference,
    Result,
    ResultCode,
    Tag,
)
from cloudcard_tools.shared.failures import Failure

SECONDS = 10  # for the connection, and for each answer
MOST_ENTRIES = 50  # of a search
MOST_REFERENCES = 20
TRUSTED = "--tls-ca of `cloudcard ra account directory set` names the authorities that are trusted"


class DirectoryUnreachable(Failure):
    """The directory gives no answer of LDAP."""

    reason = "DIRECTORY_UNREACHABLE"


class DirectoryRefused(Failure):
    """The directory refuses."""

    reason = "DIRECTORY_REFUSED"


WHY: Mapping[int, str] = {
    ResultCode.TIME_LIMIT_EXCEEDED: f"it did not finish within {SECONDS} s: try again",
    ResultCode.SIZE_LIMIT_EXCEEDED: (
        f"more than {MOST_ENTRIES} entries match: narrow them with --filter"
    ),
    ResultCode.ADMIN_LIMIT_EXCEEDED: "it does not search as much: name a lower --base-dn",
    ResultCode.STRONGER_AUTH_REQUIRED: "it wants TLS: name it as ldaps://",
    ResultCode.CONFIDENTIALITY_REQUIRED: "it wants TLS: name it as ldaps://",
    ResultCode.REFERRAL: "it names another server, which is not asked: name that one yourself",
    ResultCode.NO_SUCH_OBJECT: "it has no entry of the --base-dn, or does not show it",
    ResultCode.INVALID_CREDENTIALS: (
        "name or password is wrong: `cloudcard ra account directory password` takes another one"
    ),
    ResultCode.INSUFFICIENT_ACCESS_RIGHTS: "it does not let this name search",
}


@dataclass(slots=True)
class Bound:
    """A connection over which somebody is known to the directory."""

    directory: AccountDirectory
    connection: socket.socket
    _asked: int = 0

    def search(self, wanted: Filter, attributes: Sequence[str]) -> list[Entry]:
        """The entries that match, at most MOST_ENTRIES. Raises DirectoryRefused,
        DirectoryUnreachable.
        """
        number, until = self._next(), time.monotonic() + SECONDS
        base = self.directory.base_dn
        request = messages.search(number, base, wanted, attributes, MOST_ENTRIES, SECONDS)
        self.connection.sendall(request)
        found: list[Entry] = []
        references = 0
        while True:
            match self._answer(number, until):
                case Entry() as entry:
                    found.append(entry)
                    if len(found) > MOST_ENTRIES:
                        raise _refused(self.directory, ResultCode.SIZE_LIMIT_EXCEEDED)
                case Reference():
                    references += 1
                    if references > MOST_REFERENCES:
                        raise NoMessage("there is no end of references")
                case Result(Tag.SEARCH_RESULT_DONE, ResultCode.SUCCESS):
                    return found
                case Result(Tag.SEARCH_RESULT_DONE, code):
                    raise _refused(self.directory, code)
                case Result():
                    raise NoMessage("this answers no search")

    def start_tls(self) -> None:
        """Begin TLS. Raises as `search`."""
        number = self._next()
        self.connection.sendall(messages.start_tls(number))
        self._take(number, Tag.EXTENDED_RESPONSE)
        self.wrap()

    def wrap(self) -> None:
        """Speak TLS from now on, with the server that was named."""
        host, _ = self.directory.place
        self.connection = _context(self.directory).wrap_socket(
            self.connection, server_hostname=host
        )

    def bind(self, password: str) -> None:
        """Be known by a password. Raises as `search`."""
        if not password:  # which would be nobody's, and taken (RFC 4513, 5.1.2)
            raise DirectoryRefused("the password is empty: give the right one")
        number = self._next()
        self.connection.sendall(messages.bind(number, self.directory.bind_dn, password))
        self._take(number, Tag.BIND_RESPONSE)

    def unbind(self) -> None:
        """Say that this is the end, to whoever still listens."""
        with suppress(OSError):
            self.connection.sendall(messages.unbind(self._next()))

    def _next(self) -> int:
        self._asked += 1
        return self._asked

    def _take(self, number: int, wanted: Tag) -> None:
        answer = self._answer(number, time.monotonic() + SECONDS)
        if not isinstance(answer, Result) or answer.tag != wanted:
            raise NoMessage("this answers something else")
        if answer.code != ResultCode.SUCCESS:
            raise _refused(self.directory, answer.code)

    def _answer(self, number: int, until: float) -> Answer:
        """The next answer, until then. It is read to its last byte and no further, so that nothing
        that came before TLS counts after it has begun.
        """
        message = b""
        while left := messages.missing(message):
            remaining = until - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self.connection.settimeout(remaining)
            part = self.connection.recv(left)
            if not part:
                raise NoMessage("it hung up")
            message += part
        return messages.decode(message, number)


@contextmanager
def bound(directory: AccountDirectory, password: str) -> Iterator[Bound]:
    """A connection to a directory, until the end of the block. Raises DirectoryUnreachable,
    DirectoryRefused.
    """
    try:
        opened = socket.create_connection(directory.place, timeout=SECONDS)
        made = Bound(directory, opened)
        try:
            if directory.plain:
                _check_own(opened)
            elif directory.is_tls_at_once:
                made.wrap()
            else:
                made.start_tls()
            made.bind(password)
            yield made
            made.unbind()
        finally:
            made.connection.close()
    except ssl.SSLCertVerificationError as error:
        said = error.verify_message.rstrip(".")
        why = f"its certificate is not trusted ({said}): {TRUSTED}"
        raise _lost(directory, why) from None
    except ssl.SSLError:
        raise _lost(directory, "it does not speak TLS 1.2 or later there") from None
    except TimeoutError:
        raise _lost(directory, f"it did not answer within {SECONDS} s: try again") from None
    except NoMessage as error:
        raise _lost(directory, f"what it answers is no LDAP ({error})") from None
    except OSError as error:
        why = f"no connection ({error.strerror or 'its name is unknown'})"
        raise _lost(directory, why) from None


def _check_own(opened: socket.socket) -> None:
    """Raise NoMessage unless the other end is on this computer."""
    if not ip_address(opened.getpeername()[0]).is_loopback:
        raise NoMessage("it is another computer, and without TLS")


def _context(directory: AccountDirectory) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if directory.anchors:
        tls.load_verify_locations(cadata=directory.anchors.decode(errors="replace"))
    else:
        tls.load_default_certs()
    return tls


def _lost(directory: AccountDirectory, why: str) -> DirectoryUnreachable:
    return DirectoryUnreachable(f"the directory {directory.url} is of no use: {why}")


def _refused(directory: AccountDirectory, code: int) -> DirectoryRefused:
    why = WHY.get(code, f"its result code is {code}")
    return DirectoryRefused(f"the directory {directory.url} refuses: {why}")
