"""The control API: runs, sessions, search, the ledger and accounts over HTTP, and the line to the workers."""
