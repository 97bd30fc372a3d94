"""The keystore over plain HTTP: what machines ask that look after it."""
