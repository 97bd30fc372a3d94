"""The way to a keystore: through which proxy, and why it cannot be reached."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click
from cryptography import x509

from cloudcard_tools.shared.failures import OutOfReach

SECONDS = 3.0  # for each step of a probe
PROXY = "CLOUDCARD_PROXY"
# Set for browsers and package managers. A keystore is rarely behind such a proxy.
NOT_USED = ("grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy")
DIRECTLY = (("grpc.enable_http_proxy", 0),)
CONNECTED = b" 200 "  # in the status line of a proxy's answer (RFC 9110, 9.3.6)
MOST_ANSWER = 8192  # bytes of a proxy's answer

NOT_YET_VALID, EXPIRED, WRONG_NAME = {9}, {10}, {62, 64}  # X509_V_ERR_… (OpenSSL)
CLOCK = "this computer's clock says"
INTERRUPTED = "KEYSTORE_INTERRUPTED"  # every step goes well


@dataclass(frozen=True, slots=True)
class Way:
    """Where a keystore is, and what is needed to be let in."""

    address: str
    authority: Path
    certificate: Path
    key: Path


class ProxyRefused(OSError):
    """The proxy does not lead to the keystore."""


def proxy(host: str) -> str | None:
    """The proxy for a host: CLOUDCARD_PROXY, unless the host is this computer or in no_proxy."""
    url = os.environ.get(PROXY)
    if not url or host == "localhost" or _is_loopback(host):
        return None
    # Imported late, because it takes long and few need it.
    from urllib.request import proxy_bypass

    return None if proxy_bypass(host) else url


def shown(url: str) -> str:
    """A proxy as it is told, without its password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"


def by_proxy(address: str) -> tuple[tuple[str, str | int], ...]:
    """gRPC's options for the way to an address: directly, or by the configured proxy, which is
    told.
    """
    url = proxy(split(address)[0])
    if url is None:
        return DIRECTLY
    click.echo(f"The way to {address} is by the proxy {shown(url)} ({PROXY}).", err=True)
    return (("grpc.http_proxy", url),)


def split(address: str) -> tuple[str, int]:
    """Host and port. Raises ValueError if the address has no port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


@contextmanager
def connected(host: str, port: int, seconds: float | None = None) -> Iterator[socket.socket]:
    """A connection, by the configured proxy if there is one, and so many seconds for each step.
    Raises OSError.
    """
    limit = SECONDS if seconds is None else seconds
    url = proxy(host)
    if url is None:
        with socket.create_connection((host, port), limit) as direct:
            yield direct
        return
    parts = urlsplit(url)
    try:
        tunnel = socket.create_connection((parts.hostname or "", parts.port or 80), limit)
    except OSError as error:
        raise ProxyRefused(f"it does not answer: {error.strerror or error}") from None
    with tunnel:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        tunnel.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < MOST_ANSWER:
            part = tunnel.recv(1)
            if not part:
                break
            answer += part
        status = answer.partition(b"\r\n")[0]
        if CONNECTED not in status + b" ":
            raise ProxyRefused(f"it says {status.decode(errors='replace')!r}")
        yield tunnel


def why(way: Way, seconds: float | None = None) -> OutOfReach:
    """Try the way to a keystore step by step, and tell the first that fails, with its remedy. Each
    step has SECONDS, unless told otherwise.
    """
    first: OutOfReach | None = None
    for address in way.address.split(","):
        host, port = split(address)
        name = split(way.address.partition(",")[0])[0]
        try:
            with connected(host, port, seconds) as opened:
                failure = _enter(opened, address, name, way)
        except OSError as error:
            failure = unreachable(address, error)
        if failure is None:
            text = f"the keystore at {address} was out of reach for a moment: try again"
            return OutOfReach(text, INTERRUPTED)
        first = first or failure
    assert first is not None  # noqa: S101 (an address has a part)
    return first


def unreachable(address: str, error: OSError) -> OutOfReach:
    """Why no connection to an address was made."""
    said = error.strerror or str(error)
    match error:
        case ProxyRefused():
            url = shown(os.environ.get(PROXY, ""))
            text = f"the proxy {url} does not lead to the keystore at {address}: {said}. Correct "
            return OutOfReach(f"{text}{PROXY}, or unset it to go directly", "PROXY_FAILED")
        case socket.gaierror():
            host = split(address)[0]
            return OutOfReach(
                f"the keystore's name {host} is not known ({said}): is this computer's network up, "
                "and does its DNS know the name?",
                "NAME_NOT_FOUND",
            )
        case ConnectionRefusedError():
            text = f"nobody listens at {address}: is `cloudcard serve` running there?"
            reason = "CONNECTION_REFUSED"
        case TimeoutError():
            text = f"{address} does not answer: is that computer on, and does a firewall let "
            text, reason = f"{text}connections through?", "NO_ANSWER"
        case _:
            text = f"there is no way to {address} ({said}): is this computer's network up?"
            reason = "NO_ROUTE"
    return OutOfReach(text + _about_proxies(), reason)


def _enter(opened: socket.socket, address: str, name: str, way: Way) -> OutOfReach | None:
    """Why the keystore does not let this identity in; None if it does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(way.authority)
    context.load_cert_chain(way.certificate, way.key)
    context.set_alpn_protocols(["h2"])
    try:
        with context.wrap_socket(opened, server_hostname=name) as session:
            if session.selected_alpn_protocol() != "h2":
                text = f"what listens at {address} speaks TLS, but not HTTP/2: it is no keystore"
                return OutOfReach(f"{text}. Is the address right?", "NOT_A_KEYSTORE")
            # Under TLS 1.3 the keystore refuses a certificate only now (RFC 8446, 4.4.2.4).
            return None if session.recv(1) else _rejected(address, "it hangs up")
    except ssl.SSLCertVerificationError as error:
        return _untrusted(address, name, error)
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            return _rejected(address, (error.reason or "").rpartition("ALERT_")[2].lower())
        said = (error.reason or "it hangs up").lower().replace("_", " ")
    except TimeoutError:
        text = f"what listens at {address} takes connections and does not answer: it is busy, "
        return OutOfReach(f"{text}hangs, or is no keystore", "NO_ANSWER")
    except OSError as error:
        said = error.strerror or "it hangs up"
    return OutOfReach(
        f"what listens at {address} does not speak TLS ({said}): it is no keystore. Is the address "
        "right?",
        "NOT_A_KEYSTORE",
    )


# Words of TLS alerts (RFC 8446, 6.2), and what to do.
ALERTS: Mapping[str, tuple[str, str]] = {
    "certificate_expired": ("has ended, as its clock says", "CERTIFICATE_ENDED"),
    "certificate_revoked": ("was revoked", "CERTIFICATE_REVOKED"),
    "unknown_ca": ("is of another keystore", "CERTIFICATE_REJECTED"),
}


def _rejected(address: str, alert: str) -> OutOfReach:
    what, reason = ALERTS.get(alert, (f"is not accepted ({alert})", "CERTIFICATE_REJECTED"))
    return OutOfReach(
        f"the keystore at {address} does not let this identity in: its certificate {what}. Ask "
        "your registration authority for a token, and enrol again",
        reason,
    )


def _untrusted(address: str, name: str, error: ssl.SSLCertVerificationError) -> OutOfReach:
    """Why the keystore's certificate is not trusted."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    code = error.verify_code
    if code in NOT_YET_VALID:
        begin = _dates(address, begin=True)
        return OutOfReach(
            f"the keystore's certificate begins at {begin}, and {CLOCK} {now}: set the clock that "
            "is wrong, here or at the keystore",
            "CERTIFICATE_NOT_YET_VALID",
        )
    if code in EXPIRED:
        end = _dates(address, begin=False)
        return OutOfReach(
            f"the keystore's certificate ended at {end}, and {CLOCK} {now}: set the clock if it is "
            "wrong; otherwise restart the keystore, which then makes a new one",
            "CERTIFICATE_EXPIRED",
        )
    if code in WRONG_NAME:
        return OutOfReach(
            f"what listens at {address} has no certificate for {name}: start the keystore with "
            f"--public-host {name}, or enrol again with its right address",
            "WRONG_NAME",
        )
    found = _shown(address)
    issuer = "" if found is None else f' ("{found.issuer.rfc4514_string()}")'
    return OutOfReach(
        f"what listens at {address} is not the keystore of this identity: its certificate is by "
        f"another authority{issuer}. Is the address right? If a proxy or firewall on the way ends "
        "TLS, let it pass connections to the keystore unchanged. If the keystore was set up anew, "
        "remove the identity's folder and enrol again",
        "WRONG_AUTHORITY",
    )


def _dates(address: str, *, begin: bool) -> str:
    """When the certificate at an address begins or ends."""
    found = _shown(address)
    if found is None:
        return "an unknown time"
    moment = found.not_valid_before_utc if begin else found.not_valid_after_utc
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _shown(address: str) -> x509.Certificate | None:
    """The certificate at an address, whatever it is; None if it cannot be had."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = split(address)
    try:
        with (
            connected(host, port) as opened,
            context.wrap_socket(opened, server_hostname=host) as session,
        ):
            der = session.getpeercert(binary_form=True) or b""
        return x509.load_der_x509_certificate(der)
    except (OSError, ValueError):
        return None


def _about_proxies() -> str:
    """A hint for networks in which nothing is reached without a proxy."""
    named = next((each for each in NOT_USED if os.environ.get(each)), None)
    if named is None or os.environ.get(PROXY):
        return ""
    return f" ({named} is set and not used for keystores; {PROXY} would be)"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
