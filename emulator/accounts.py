"""The bearer key is the account.

Keys are kept hashed; a key that was never seen makes an account where that is allowed.
"""

import threading
from hashlib import sha256

from emulator.errors import NotFound, Unauthorized
from emulator.services import Caller, Services
from emulator.store import Query, Row

_making = threading.Lock()


def authenticate(services: Services, authorization: str | None) -> Row:
    """The account of an `Authorization: Bearer KEY` header.

    Raises Unauthorized.
    """
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() not in ("bearer", "token") or not is_key(services, key):
        raise Unauthorized
    return account_of(services, key)


def is_key(services: Services, key: str) -> bool:
    if services.config.keys:
        return key in services.config.keys
    return key.startswith("sd_") or (bool(key) and services.assumed("keys") == "any")


def account_of(services: Services, key: str) -> Row:
    """The account of a key, made when it is new."""
    mark = f"key:{sha256(key.encode()).hexdigest()}"
    with _making, services.store.transaction():
        if found := services.store.find("user", Query(None, ref=mark, limit=1)):
            return found[0]
        row = services.store.insert(
            "user", None, {"idempotency": None, "created_at": services.clock.now()}, refs=(mark,)
        )
        return services.store.update(
            row, {"name": f"Developer {row.id}", "email": f"developer{row.id}@example.com"}
        )


def scope(services: Services, account: Row, header: str | None) -> int | str | None:
    """The workspace that `X-Workspace-Id` names: an id, "all", or None for the personal scope.

    Raises NotFound when the account has no such workspace.
    """
    if not header or header == "personal":
        return None
    if header == "all":
        return "all"
    workspace = (
        services.store.get("workspace", int(header))
        if header.isdecimal() and len(header) < 19
        else None
    )
    if workspace is None or workspace.owner != account.id:
        raise NotFound
    return workspace.id


def caller_for(
    services: Services, account: Row, origin: str, workspace: int | str | None
) -> Caller:
    own = account["idempotency"]
    return Caller(
        account.id, origin, workspace, idempotent=services.idempotency if own is None else own
    )
