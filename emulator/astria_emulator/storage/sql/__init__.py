"""The store in a database, SQLite or PostgreSQL. Loaded only where one is asked for.

`database` opens one and controls who may write; `tables` and `statements` are all of its SQL;
`records` converts rows and jobs; `work` is one transaction; `store` is what the other rooms use.
"""
