"""`cloudcard ra import` and `ra export`: people and cards in CSV files."""
