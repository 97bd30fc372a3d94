"""What several commands share: failures, output, identities, processes, the PC/SC daemon."""
