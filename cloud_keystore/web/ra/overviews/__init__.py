"""Pages for what there is, and what needs somebody."""
