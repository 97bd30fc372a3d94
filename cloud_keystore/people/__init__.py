"""Use cases of users, devices, identities, organisations and enrolment."""
