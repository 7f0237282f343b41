"""The bearer key is the account.

Keys are kept hashed; a key that was never seen makes an account where that is allowed.
"""

from astria_emulator.domain.rows import NewUserRow
from astria_emulator.errors import NotFound, Unauthorized
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import key_ref
from astria_emulator.storage.store import Query, Row


def authenticate(services: Services, authorization: str | None) -> Row:
    """The account of an `Authorization: Bearer KEY` header.

    Raises Unauthorized.
    """
    key = key_of(authorization)
    if not is_key(services, key):
        raise Unauthorized
    return account_of(services, key)


def key_of(authorization: str | None) -> str:
    """The key that a header brings; nothing when it brings none."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() in ("bearer", "token") else ""


def is_key(services: Services, key: str) -> bool:
    if services.config.keys:
        return key in services.config.keys
    return key.startswith("sd_") or (bool(key) and services.assumed("keys") == "any")


def account_of(services: Services, key: str) -> Row:
    """The account of a key, made when it is new."""
    ref = key_ref(key)
    known = Query(None, ref=ref, limit=1)
    if found := services.store.find("user", known):
        return found[0]
    with services.store.transaction():
        if found := services.store.find("user", known):  # another request was first
            return found[0]
        blank: NewUserRow = {"idempotency": None, "created_at": services.clock.now()}
        row = services.store.insert("user", None, blank, refs=(ref,))
        name = {"name": f"Developer {row.id}", "email": f"developer{row.id}@example.com"}
        return services.store.update(row, name)


def caller_of(services: Services, account: Row, origin: str, workspace: str | None) -> Caller:
    """The caller; `workspace` is what X-Workspace-Id says.

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
    row = services.store.get("workspace", id)
    if row is None or row.owner != account.id:
        raise NotFound
    return row.id
