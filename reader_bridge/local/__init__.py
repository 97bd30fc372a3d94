"""A card whose keys are on this computer, for development and tests. It needs no approval."""
