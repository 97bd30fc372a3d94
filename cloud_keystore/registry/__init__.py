"""Use cases of the registration authority: people, enrolment, certificates, cards."""
