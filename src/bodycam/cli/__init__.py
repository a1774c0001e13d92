"""The command line: one module a command, nearly all of them clients of the control API."""
