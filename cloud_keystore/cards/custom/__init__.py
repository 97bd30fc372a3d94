"""Card profiles that organisations define."""
