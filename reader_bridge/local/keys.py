"""The key service of a local card, for development and tests: it needs no approval.

It does not protect its keys: anybody who can read the process's memory or the card's file has them.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Generator
from typing import TypeAlias

import structlog

from card_os.administration import (
    Administrator,
    AnswerChallenge,
    AttestKey,
    RequestChallenge,
    ResetCard,
    SetTries,
)
from card_os.keys import (
    ApplicationRequest,
    ChangePasscode,
    KeyRequest,
    KeyResult,
    PasscodeRequest,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv import CardImage, rules
from card_os.piv.algorithms import BLOCK_BYTES
from card_os.uses import PinPolicy
from private_keys.keys import BadKey, Random
from private_keys.libcrypto import NoLibcrypto
from private_keys.using import BadInput
from reader_bridge.local import administration, management_key, passcodes, private_keys
from reader_bridge.local.administration import Change, ChangeRefused
from reader_bridge.local.card import LocalCard
from reader_bridge.tasks import Cancellation

log = structlog.get_logger()

Save: TypeAlias = Callable[[LocalCard], None]
Steps: TypeAlias = Generator[LocalCard, None, KeyResult]

SECRET_BYTES = 32


def _forget(_card: LocalCard) -> None:
    """Do not store the card."""


class LocalKeys:
    """The keys and passcodes of one card, which approves everything at once.

    `save` stores each new state before the result is returned. If it raises OSError, it has stored
    the new state or kept the previous one.
    """

    def __init__(self, card: LocalCard, random: Random, save: Save = _forget) -> None:
        self._card = card
        self._random = random
        self._save = save
        self._secret = random(SECRET_BYTES)  # proofs end with the process, or a reset
        self._challenge: management_key.Challenge | None = None
        self._lock = threading.Lock()  # a cancelled request can still be running

    @property
    def card(self) -> LocalCard:
        """The present state of the card."""
        return self._card

    @property
    def image(self) -> CardImage:
        """The present image of the card. Raises ValueError if no card can have this state."""
        return self._card.image()

    def reset(self) -> None:
        """Do nothing: this key service keeps nothing that ends with a reset."""

    def perform(self, request: KeyRequest, cancellation: Cancellation | None = None) -> KeyResult:
        """Perform a request at once. If it is cancelled before its first save, nothing changes."""
        cancellation = cancellation or Cancellation()
        with self._lock:
            try:
                return self._store(self._steps(request), cancellation)
            except ChangeRefused as refused:
                return refused.refusal
            except OSError as error:
                log.error("the card cannot be stored", reason=error.strerror)  # noqa: TRY400 (the
                # place in the program says nothing more)
                return Refusal.UNAVAILABLE

    def _store(self, steps: Steps, cancellation: Cancellation) -> KeyResult:
        """Store a request's states, one after the other; only here does the card's state change."""
        try:
            state = next(steps)
            if cancellation.requested:
                return Refusal.CANCELLED
            while True:
                self._save(state)
                self._card = state
                state = next(steps)
        except StopIteration as done:
            result: KeyResult = done.value
            return result

    def _steps(self, request: KeyRequest) -> Steps:
        match request:
            case UseKey():
                return self._use(request)
            case PasscodeStatus() | VerifyPasscode() | ChangePasscode() | ResetPasscode():
                return (yield from self._passcode(request))
            case RequestChallenge():
                return self._request_challenge(request)
            case AnswerChallenge():
                return self._answer_challenge(request)
            case ReadObject():
                return self._read(request)
            case ApplicationRequest():
                return Refusal.UNKNOWN_KEY  # a local card has only PIV
            case AttestKey(key_ref=key_ref):
                return administration.attestation(self._card, key_ref)
            case _:
                return (yield from self._change(request))

    def _passcode(self, request: PasscodeRequest) -> Steps:
        match request:
            case PasscodeStatus(key_ref=key_ref):
                return passcodes.status(self._card, key_ref)
            case VerifyPasscode(key_ref=key_ref, passcode=passcode):
                checked = yield from passcodes.verify(self._card, key_ref, passcode)
            case ChangePasscode(key_ref=key_ref, old=old, new=new):
                checked = yield from passcodes.change(self._card, key_ref, old, new)
            case ResetPasscode(key_ref=key_ref, puk=puk, new=new):
                checked = yield from passcodes.reset(self._card, key_ref, puk, new)
        if isinstance(checked, LocalCard):
            return Verified(self._passcode_proof())
        return checked

    def _use(self, request: UseKey) -> KeyResult:
        key = self._card.keys.get(request.key_ref)
        if key is None or key.algorithm != request.algorithm:
            return Refusal.UNKNOWN_KEY
        asks = rules.pin_policy(request.key_ref, key.pin_policy) is not PinPolicy.NEVER
        if asks and not hmac.compare_digest(request.proof, self._passcode_proof()):
            return Refusal.PASSCODE_NEEDED
        try:
            return private_keys.use(key.algorithm, key.private, request.use, request.input)
        except (BadKey, BadInput):
            return Refusal.MALFORMED
        except NoLibcrypto as error:
            log.error("the key cannot be used", reason=str(error))  # noqa: TRY400 (as above)
            return Refusal.UNAVAILABLE

    def _read(self, request: ReadObject) -> KeyResult:
        """The contents of an object for the holder; the card's image has them too."""
        self._require(request.proof, self._passcode_proof())
        contents = self._card.objects.get(request.tag)
        return Refusal.UNKNOWN_KEY if contents is None else contents

    def _request_challenge(self, request: RequestChallenge) -> KeyResult:
        self._challenge = None
        if request.algorithm != self._card.management_algorithm:
            return Refusal.UNKNOWN_KEY
        self._challenge, sent = management_key.challenge(
            request.algorithm,
            self._card.management_key,
            self._random,
            enciphered=request.enciphered,
        )
        return sent

    def _answer_challenge(self, request: AnswerChallenge) -> KeyResult:
        # The challenge is spent before the answer is compared.
        challenge, self._challenge = self._challenge, None
        if challenge is None or not challenge.is_answered_by(request.algorithm, request.response):
            return Refusal.DENIED
        block = request.challenge
        if len(block) not in (0, BLOCK_BYTES[request.algorithm]):
            return Refusal.MALFORMED
        key = self._card.management_key
        cryptogram = management_key.encipher(request.algorithm, key, block) if block else b""
        return Administrator(self._administrator_proof(), cryptogram)

    def _change(self, request: Change) -> Steps:
        if not isinstance(request, ResetCard):
            self._require(request.proof, self._administrator_proof())
        if isinstance(request, SetTries):
            self._require(request.passcode_proof, self._passcode_proof())
        state, changed = administration.apply(self._card, request)
        yield state
        if isinstance(request, ResetCard):
            self._secret = self._random(SECRET_BYTES)
        return changed

    def _require(self, proof: bytes, right: bytes) -> None:
        if not hmac.compare_digest(proof, right):
            raise ChangeRefused(Refusal.PASSCODE_NEEDED)

    def _passcode_proof(self) -> bytes:
        """The proof of a right passcode, valid as long as the passcodes stay the same."""
        known = (passcode.value for _, passcode in sorted(self._card.passcodes.items()))
        return self._proof("passcode", *known)

    def _administrator_proof(self) -> bytes:
        """The administrator's proof, valid until RESET restores the factory state. It outlives the
        management key, because ykman replaces the key and continues.
        """
        return self._proof("administrator")

    def _proof(self, what: str, *values: bytes) -> bytes:
        told = b"".join(bytes((len(value),)) + value for value in (what.encode(), *values))
        return hmac.digest(self._secret, told, "sha256")
