"""Devices that several holders share."""
