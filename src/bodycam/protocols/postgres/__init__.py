"""PostgreSQL: wire protocol 3.0, recorded statement by statement."""
