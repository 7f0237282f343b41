"""The store in a database, SQLite or PostgreSQL. Loaded only where one is asked for.

`database` opens one and says who may write, `tables` and `statements` are all of its SQL, `records`
how rows and jobs stand in it, `work` is one transaction, and `store` what the rest of us sees.
"""
