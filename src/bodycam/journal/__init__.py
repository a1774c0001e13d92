"""The journal: a gateway worker's append-only, encrypted write-ahead files, and their reader.

A worker writes (`writer`), the archivist reads (`follower`); both stand on the byte layout in `layout`.
"""
