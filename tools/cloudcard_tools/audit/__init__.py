"""`cloudcard audit`: what auditors do with the journal."""
