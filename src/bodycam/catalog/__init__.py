"""The catalog: the relational state of the gateway, in SQLite or PostgreSQL, with identical answers.

Functions take a SQLAlchemy connection and return frozen dataclasses; transactions are `engine.reading` and
`engine.writing`. Every time in the catalog is an integer of microseconds of the Unix epoch. The tables about
sessions and exchanges are an index that `bodycam reindex` rebuilds from recordings; accounts, runs, their
credentials and the audit trail's details exist only here.
"""
