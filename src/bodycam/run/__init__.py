"""What `bodycam run` gives a child process: a run, bindings to the gateway, and an orderly end."""
