"""What organisations define for their cards."""
