"""The security status of the PIV application (SP 800-73-5 part 2, 2.5)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Session:
    """Lost on reset. A value, so that whoever keeps one can go back to it."""

    proof: bytes | None = field(default=None, repr=False)  # None: the PIN is not verified
    verified_by: int | None = None  # number of the VERIFY command, for PIN Always
