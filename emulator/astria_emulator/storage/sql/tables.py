"""The tables, and the version of their schema."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from astria_emulator.errors import SetupError

SCHEMA = 2  # raised when the tables change; see UPGRADES
CLOCK_OF_SQLITE = "astria_now"  # a function that its connection has

tables = MetaData()
COUNTERS = Table(
    "astria_counters",
    tables,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
# Times are microseconds since 1970; owner 0 is the gallery.
ROWS = Table(
    "astria_rows",
    tables,
    Column("kind", String(16), primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, nullable=False),
    Column("owner", BigInteger, nullable=False),
    Column("home", String(32), nullable=False),
    Column("refs", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index("astria_rows_of_owner", "kind", "owner", "id"),
)
REFS = Table(
    "astria_refs",
    tables,
    Column("kind", String(16), primary_key=True),
    Column("owner", BigInteger, primary_key=True, autoincrement=False),
    Column("ref", String(40), primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
JOBS = Table(
    "astria_jobs",
    tables,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", String(16), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("target_kind", String(16), nullable=False),
    Column("target", BigInteger, nullable=False),
    Column("target_uid", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("home", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease", BigInteger),
    Column("progress", Text, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("receiver", String(300), nullable=False, server_default=""),
    Index("astria_jobs_by_due", "lane", "due", "id"),
    Index("astria_jobs_by_receiver", "lane", "receiver", "due", "id"),
    Index("astria_jobs_of_target", "target_kind", "target"),
)

# A version -> the statements that lead to it from the version before, for SQLite and PostgreSQL.
UPGRADES: Mapping[int, Sequence[str]] = {
    2: (
        "ALTER TABLE astria_jobs ADD COLUMN receiver VARCHAR(300) NOT NULL DEFAULT ''",
        "CREATE INDEX astria_jobs_by_receiver ON astria_jobs (lane, receiver, due, id)",
        # Deliveries that have ended are found by a ref: `refs.ENDED`, as it is indexed.
        "INSERT INTO astria_refs (kind, owner, ref, id)"
        " SELECT kind, owner, '#c4b6b0aa7e550b32b942f197d686c1eb', id FROM astria_rows"
        " WHERE kind = 'delivery' AND refs = '[]'",
        """UPDATE astria_rows SET refs = '["ended"]' WHERE kind = 'delivery' AND refs = '[]'""",
    ),
}


class now(FunctionElement[int]):  # noqa: N801 - as SQLAlchemy's own functions
    """The database's time, in microseconds since 1970: clocks of processes may differ.

    SQLite has one process, whose clock it is.
    """

    inherit_cache = True
    type = BigInteger()


@compiles(now, "sqlite")
def _now_of_sqlite(*_: Any, **__: Any) -> str:
    return f"{CLOCK_OF_SQLITE}()"


@compiles(now, "postgresql")
def _now_of_postgresql(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)"


def prepare(connection: Connection) -> None:
    """Create the tables where they are missing, and upgrade those of an earlier version.

    Raises SetupError where a newer version of this program created them.
    """
    COUNTERS.create(connection, checkfirst=True)
    version = connection.scalar(select(COUNTERS.c.value).where(COUNTERS.c.name == "schema"))
    if version is None:
        tables.create_all(connection)
        connection.execute(insert(COUNTERS).values(name="schema", value=SCHEMA))
    elif version > SCHEMA:
        problem = (
            f"its schema is version {version}, and this version of the emulator knows {SCHEMA}"
        )
        raise SetupError("the data is newer than this program", [problem])
    elif version < SCHEMA:
        for number in range(version + 1, SCHEMA + 1):
            for statement in UPGRADES[number]:
                connection.exec_driver_sql(statement)
        connection.execute(update(COUNTERS).where(COUNTERS.c.name == "schema").values(value=SCHEMA))
