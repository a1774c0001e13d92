"""The decision point: who may open what, what an operation may do, and what the record must not hold."""
