"""`cloudcard reader`: puts cards into this computer's virtual reader."""
