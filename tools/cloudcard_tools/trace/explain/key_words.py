"""What the card asks its key service, and what that answers, in words."""

from __future__ import annotations

from collections.abc import Iterator

from card_os.administration import (
    Administrator,
    AnswerChallenge,
    AttestKey,
    CardKey,
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import (
    ApplicationRequest,
    ChangePasscode,
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.uses import KeyUse, PinPolicy, TouchPolicy
from cloudcard_tools.trace.explain.data_objects import count, octets
from cloudcard_tools.trace.explain.names import KEYS, algorithm, key
from cloudcard_tools.trace.explain.values import object_name, text

USES = {
    KeyUse.SIGN: "sign with",
    KeyUse.DECRYPT: "decipher with",
    KeyUse.AGREE: "agree on a secret with",
}
RESULTS = {
    KeyUse.SIGN: "the signature",
    KeyUse.DECRYPT: "the plaintext, hidden",
    KeyUse.AGREE: "the shared secret, hidden",
}
REFUSALS = {
    Refusal.DENIED: "denied, by the holder or by policy, or a wrong answer",
    Refusal.EXPIRED: "expired: nobody decided in time",
    Refusal.CANCELLED: "cancelled by the workstation",
    Refusal.MALFORMED: "malformed: this input is not accepted",
    Refusal.PASSCODE_NEEDED: "the passcode is needed again",
    Refusal.UNKNOWN_KEY: "no such key or object",
    Refusal.FULL: "there is no room for it",
    Refusal.UNAVAILABLE: "the key service is out of reach or failed",
}


def asked(request: KeyRequest) -> str:
    """A key request in one line."""
    match request:
        case UseKey(_, use, key_ref, with_algorithm, data, proof):
            what = f"{USES[use]} {key(key_ref)}, {algorithm(with_algorithm)}"
            return f"{what}: {count(len(data))} {octets(data)}{_proof(proof)}"
        case PasscodeStatus(_, key_ref):
            return f"how many tries {_passcode(key_ref)} has left"
        case VerifyPasscode(_, key_ref, passcode):
            return f"verify {_passcode(key_ref)}, of {len(passcode)}, hidden"
        case ChangePasscode(_, key_ref, old, new):
            return f"change {_passcode(key_ref)}, from one of {len(old)} to one of {len(new)}"
        case ResetPasscode(_, key_ref, puk, new):
            return f"unblock {_passcode(key_ref)}, by a PUK of {len(puk)}, to one of {len(new)}"
        case ReadObject(proof, tag):
            return f"read {object_name(tag)}{_proof(proof)}"
        case ApplicationRequest():
            values = (f"{count(len(each))} {octets(each)}" for each in request.told())
            return ", ".join((request.name, *values))
        case _:
            return _administration(request)


def answered(result: KeyResult, request: KeyRequest | None) -> str:
    """A key result in one line. `request` is the one that it answers, if that is known."""
    match result:
        case bytes():
            return f"{_gives(request)}, {count(len(result))} {octets(result)}".rstrip()
        case Verified(proof):
            return f"right{_proof(proof)}"
        case TriesLeft(tries, most, factory):
            factory_one = ", the factory's passcode" if factory else ""
            wrong = "" if isinstance(request, PasscodeStatus) else "wrong, "
            return f"{wrong}{tries} of {most} tries left{factory_one}"
        case Administrator(proof, cryptogram):
            own = f", own challenge enciphered {octets(cryptogram)}" if cryptogram else ""
            return f"the management key is right{_proof(proof)}{own}"
        case Changed():
            return f"stored: {', '.join(_changes(result)) or 'nothing to tell'}"
        case Refusal():
            return f"refused: {REFUSALS[result]}"


def _administration(request: KeyRequest) -> str:
    match request:
        case RequestChallenge(with_algorithm, enciphered):
            kind = "a witness, enciphered" if enciphered else "a challenge"
            return f"{kind} for the management key, {algorithm(with_algorithm)}"
        case AnswerChallenge(with_algorithm, response, challenge):
            own = f", own challenge {octets(challenge)}" if challenge else ""
            return f"check the answer {octets(response)}, {algorithm(with_algorithm)}{own}"
        case WriteObject(proof, tag, contents):
            what = f"{count(len(contents))} {octets(contents)}" if contents else "nothing"
            return f"write {object_name(tag)}: {what}{_proof(proof)}"
        case GenerateKey(proof, key_ref, with_algorithm, pin, touch):
            what = f"{key(key_ref)}, {algorithm(with_algorithm)}{_policies(pin, touch)}"
            return f"generate {what}{_proof(proof)}"
        case ImportKey(proof, key_ref, with_algorithm, private, pin, touch):
            what = f"{key(key_ref)}, {algorithm(with_algorithm)}{_policies(pin, touch)}"
            return f"import {what}: {count(len(private))}, hidden{_proof(proof)}"
        case MoveKey(proof, source, None):
            return f"erase {key(source)}{_proof(proof)}"
        case MoveKey(proof, source, int(destination)):
            return f"move {key(source)} to {key(destination)}{_proof(proof)}"
        case SetManagementKey(proof, with_algorithm, _):
            return f"set the management key, {algorithm(with_algorithm)}, hidden{_proof(proof)}"
        case SetTries(proof, _, pin_tries, puk_tries):
            return f"set the tries, PIN {pin_tries}, PUK {puk_tries}{_proof(proof)}"
        case ResetCard():
            return "reset the card to the factory's state"
        case AttestKey(key_ref):
            return f"a certificate that {key(key_ref)} was made there"
    raise TypeError(f"{type(request).__name__} is not a key request")


def _gives(request: KeyRequest | None) -> str:
    match request:
        case UseKey(use=use):
            return RESULTS[use]
        case RequestChallenge(enciphered=enciphered):
            return "the witness" if enciphered else "the challenge"
        case AttestKey():
            return "the certificate"
        case ReadObject():
            return "the contents, hidden"
    return "done"


def _changes(changed: Changed) -> Iterator[str]:
    for tag, contents in changed.objects.items():
        name = object_name(tag)
        yield f"{name} removed" if contents is None else f"{name} of {count(len(contents))}"
    for tag in sorted(changed.withheld):
        yield f"{object_name(tag)}, withheld until the PIN is verified"
    for key_ref, found in changed.keys.items():
        yield f"{key(key_ref)} erased" if found is None else f"{key(key_ref)}, {_key(found)}"
    if changed.management_algorithm is not None:
        whose = ", the factory's" if changed.factory_management_key else ""
        yield f"management key, {algorithm(changed.management_algorithm)}{whose}"


def _key(found: CardKey) -> str:
    imported = ", imported" if found.imported else ""
    return f"{algorithm(found.algorithm)}{imported}" + _policies(
        found.pin_policy, found.touch_policy
    )


def _policies(pin: PinPolicy, touch: TouchPolicy) -> str:
    """PIN and touch policy, if they differ from the standard's."""
    pin_words = f", PIN {pin.name.lower()}" if pin else ""
    return pin_words + (f", touch {touch.name.lower()}" if touch else "")


def _passcode(key_ref: int) -> str:
    return f"the {KEYS[key_ref]}" if key_ref in KEYS else f"passcode {key_ref:02X}"


def _proof(proof: bytes) -> str:
    return f", proof {text(proof)}" if proof else ""
