"""The keystore over plain HTTP, for machines that monitor it."""
