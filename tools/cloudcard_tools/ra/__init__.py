"""`cloudcard ra`: the registration authority's command line."""
