"""Accounts: each API key is one.

Only hashes of keys are stored. A new key creates an account, unless the settings list the keys.
"""

from astria_emulator.domain.rows import NewUserRow
from astria_emulator.errors import NotFound, Unauthorized
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import key_ref
from astria_emulator.storage.store import Query, Row


def authenticate(services: Services, authorization: str | None) -> Row:
    """Return the account of an `Authorization: Bearer KEY` header.

    Raises Unauthorized.
    """
    key = key_of(authorization)
    if not is_key(services, key):
        raise Unauthorized
    return account_of(services, key)


def key_of(authorization: str | None) -> str:
    """Return the key in an Authorization header; empty where there is none."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() in ("bearer", "token") else ""


def is_key(services: Services, key: str) -> bool:
    """Return whether a key is an account's, or may become one's."""
    if services.config.keys:
        return key in services.config.keys
    return key.startswith("sd_") or (bool(key) and services.assumed("keys") == "any")


def account_of(services: Services, key: str) -> Row:
    """Return the account of a key, created when the key is new."""
    ref = key_ref(key)
    same_key = Query(None, ref=ref, limit=1)
    if rows := services.store.find("user", same_key):
        return rows[0]
    with services.store.transaction():
        if rows := services.store.find("user", same_key):  # another request was first
            return rows[0]
        blank: NewUserRow = {"idempotency": None, "created_at": services.clock.now()}
        row = services.store.insert("user", None, blank, refs=(ref,))
        name = {"name": f"Developer {row.id}", "email": f"developer{row.id}@example.com"}
        return services.store.update(row, name)


def caller_of(services: Services, account: Row, origin: str, workspace: str | None) -> Caller:
    """Return the caller of a request. `workspace`: the header X-Workspace-Id.

    Raises NotFound when the account has no such workspace.
    """
    scope: int | str | None = workspace if workspace == "all" else None
    if workspace and workspace.isdecimal():
        scope = own_workspace(services, account, int(workspace))
    idempotent = account["idempotency"]
    if idempotent is None:
        idempotent = services.idempotency
    return Caller(account.id, origin, scope, idempotent=idempotent)


def own_workspace(services: Services, account: Row, id: int) -> int:
    """Return the id if the account has such a workspace.

    Raises NotFound.
    """
    row = services.store.get("workspace", id)
    if row is None or row.owner != account.id:
        raise NotFound
    return row.id
