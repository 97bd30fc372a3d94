"""Tables of people as CSV files: their form, their columns, and what a row says."""
