"""HTTP: APIs, web pages, calls of language models and tools, through a proxy or by a target's name."""
