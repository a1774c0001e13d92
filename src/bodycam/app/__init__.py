"""The composition root: the only place where the parts are wired, one module a process.

`bodycam.app.supervisor.serve` runs a gateway; `python -m bodycam.app ROLE` is how it starts its children.
Each is given what design section 4 lets it hold, and imports nothing of the others.
"""
