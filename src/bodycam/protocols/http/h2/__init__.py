"""HTTP/2 in a tunnel that is read: a connection to the client, one to the target, a stream for each exchange.

Both sides speak it, so that nothing is translated (RFC 9113).
"""
