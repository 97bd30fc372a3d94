"""What API clients are told of at their webhooks: signed, and sent to nobody else."""
