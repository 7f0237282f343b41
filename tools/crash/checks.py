"""What is lost, was done twice, or is left over."""

from collections import Counter
from pathlib import Path
from typing import Any

from tools.crash.clients import MARK, Client, Ledger

# Names of what a server keeps for a while only.
TEMPORARY = ("astria-", "files-held-", "run-")


def problems(ledger: Ledger, client: Client) -> list[str]:
    """Return what is lost, or was done twice."""
    found: list[str] = []
    listed: list[dict[str, Any]] = []
    before = ""
    while page := client.ask("GET", f"/tunes?limit=120{before}").json():
        listed += page
        before = f"&before_id={page[-1]['id']}"
    ids, titles = [tune["id"] for tune in listed], [tune["title"] for tune in listed]
    found += [f"id {id} listed {n} times" for id, n in Counter(ids).items() if n > 1]
    found += [f"title {title}: {n} tunes" for title, n in Counter(titles).items() if n > 1]
    by_id = {tune["id"]: tune for tune in listed}
    for id, title in ledger.tunes.items():
        path = f"/tunes/{id}"
        if path in ledger.deleted:
            found += [f"{path} was deleted and is there"] if id in by_id else []
        elif id not in by_id:
            found += [f"{path} is lost"] if path not in ledger.deleting else []
        else:
            found += _problems_of(ledger, client, by_id[id], title)
    for id, tune in ledger.prompts.items():
        if f"/tunes/{tune}" not in ledger.deleting:
            prompt = client.ask("GET", f"/prompts/{id}")
            if prompt.status_code != 200 or not prompt.json()["trained_at"]:
                found.append(f"prompt {id} is lost or has not ended")
    found += [f"callback {path} came {n} times" for path, n in ledger.received.items() if n > 1]
    return found


def _problems_of(ledger: Ledger, client: Client, tune: dict[str, Any], title: str) -> list[str]:
    found = []
    if tune["title"] != title or not tune["trained_at"]:
        found.append(f"tune {tune['id']} is not as it was answered, or not trained")
    nested = client.ask("GET", f"/tunes/{tune['id']}/prompts?limit=120").json()
    texts = Counter(prompt["text"] for prompt in nested)
    found += [f"prompt {text!r}: {n}" for text, n in texts.items() if n > 1]
    if f"nested in {title}" not in texts:
        found.append(f"nested prompt of {tune['id']} is lost")
    for path in (f"/tune/{title}", f"/nested/{title}"):
        if not ledger.received[path] and path not in ledger.unknown:
            found.append(f"callback {path} did not come, and is not said to be unknown")
    if photo := ledger.photos.get(tune["id"]):
        response = client.ask("GET", "/" + tune["orig_images"][0].rpartition("/")[2])
        if response.content != photo:
            found.append(f"the photograph of {tune['id']} is lost")
    return found


def left_over(client: Client, data: Path, temporary: Path) -> list[str]:
    """Delete everything over the API; return what is still on the disk."""
    while tunes := client.ask("GET", "/tunes?limit=120").json():
        for tune in tunes:
            client.ask("DELETE", f"/tunes/{tune['id']}")
    found = []
    for path in (*data.rglob("*"), *temporary.rglob("*")):
        if path.name.startswith(TEMPORARY):
            found.append(f"{path} is left over")
        elif path.is_file() and MARK in path.read_bytes():
            found.append(f"{path} has a photograph that was deleted")
    return found
