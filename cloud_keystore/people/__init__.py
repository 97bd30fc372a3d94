"""Use cases of people and of who acts for them: devices, identities, organisations, enrolment."""
