"""Requests that are wrong."""

from astria_emulator.objects.accounts import authenticate
from astria_emulator.storage.store import Query


def refused(api, path, status=422, **sent):
    """The body of a refusal, after which nothing is stored."""
    before = stored(api)
    answer = api.call("POST", path, **sent)
    assert answer.status_code == status, answer.text
    assert stored(api) == before
    return answer.json


def stored(api):
    """What an account has, and how many files there are; asked without a request."""
    services = api.client.application.services
    account = authenticate(services, f"Bearer {api.key}").id
    tables = ("tune", "prompt", "pack", "workspace", "order", "run")
    rows = [[dict(row) for row in services.store.find(t, Query(account))] for t in tables]
    files = services.files
    kept = files._files if hasattr(files, "_files") else list(files._folder.rglob("*"))
    return rows, len(kept)
