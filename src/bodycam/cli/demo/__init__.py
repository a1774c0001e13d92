"""`bodycam demo`: a database, a gateway and a real AutoGen run, all in one folder that is gone afterwards."""
