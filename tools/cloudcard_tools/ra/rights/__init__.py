"""Who may do what, and what another operator has to approve."""
