"""`cloudcard trace minimise`: a failing trace, as short as it can be."""
