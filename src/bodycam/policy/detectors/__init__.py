"""Detectors: each finds one kind of sensitive data in text, in time that grows only with its length."""
