"""Masking: what is taken out of results and streams on the way to clients and records."""
