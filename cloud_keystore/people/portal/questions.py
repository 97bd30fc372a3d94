"""Security questions: a holder chooses them on a phone, and answers them at the portal, besides a
code by e-mail, if a policy says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.questions import Question, checked, normal
from cloud_keystore.people.portal.knowing import check_offered, owner, policy_of
from cloud_keystore.storage.credentials.portal import questions
from cloud_keystore.storage.credentials.portal.questions import Kept


@dataclass(frozen=True, slots=True)
class Questions:
    """Keeps questions, with hashes of their answers."""

    passcodes: Passcodes

    def set_own(self, chosen: Sequence[Question], device: Identity) -> None:
        """Give a device's holder other questions. Raises InvalidInput, PortalClosed,
        IdentityRejected, Overloaded.
        """
        own, now = self.passcodes, self.passcodes.clock()
        wanted = checked(chosen)
        with own.database.read() as connection:
            check_offered(policy_of(connection, owner(connection, device, now)))
        with own.hashing.turn():
            made = [self._made(each) for each in wanted]
        with own.database.write() as connection:
            user = owner(connection, device, now)
            check_offered(policy_of(connection, user))
            questions.replace(connection, user.id, made)
            said = {"questions": len(made)}
            told = entries.about_user(Kind.QUESTIONS_SET, user, now, device.actor, said)
            journal.append(connection, told)

    def right_ones(self, kept: Sequence[Kept], answers: Sequence[str]) -> int:
        """How many answers are right; each is compared, whatever the others are. Holds a turn to
        hash.
        """
        given = [*answers, *[""] * len(kept)][: len(kept)]
        return sum([self._fits(each, answer) for each, answer in zip(kept, given, strict=True)])

    def _made(self, wanted: Question) -> Kept:
        own = self.passcodes
        question_id = new_id(own.clock(), own.random)
        return Kept(question_id, wanted.text, own.hasher.hash(self._pepper(question_id, wanted)))

    def _fits(self, kept: Kept, answer: str) -> bool:
        given = Question(kept.text, normal(answer))
        try:
            return self.passcodes.hasher.verify(kept.hash, self._pepper(kept.id, given))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise RecordDamaged(f"security question {kept.id} ({type(error).__name__})") from None

    def _pepper(self, question_id: str, given: Question) -> bytes:
        said = f"{question_id}/{given.answer}".encode()
        return self.passcodes.seal.derive("security answer", said)
