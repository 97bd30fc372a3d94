"""`cloudcard trace minimise`: makes a failing trace as short as possible."""
