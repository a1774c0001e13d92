"""The processes on the data path: the supervisor, its listeners, the workers and their links."""
