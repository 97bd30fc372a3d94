"""Signatures of prescriptions as the Electronic Prescription Service has them."""
