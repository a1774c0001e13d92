"""Byte streams: TLS, output queues, and the framed channel between our own processes."""
