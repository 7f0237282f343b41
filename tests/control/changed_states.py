"""A server with a state of every kind of object, ways to change its export, and its whole use."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from astria_emulator.app import Emulator
from astria_emulator.outbound.door import PostResult
from astria_emulator.testing.intercept.local_outbox import LocalOutbox
from astria_emulator.work.jobs import FAILED
from tests.conftest import Api
from tests.control.packed_states import zipped

SMALL = {"w": 64, "h": 64, "num_images": 1}
CALLBACK = "http://127.0.0.1:9/hook"
VIDEO = {"video_model": "seedance2_fast_720p", "video_prompt": "waves", "num_images": 1}
Path = tuple[str | int, ...]


class DeadOutbox(LocalOutbox):
    """Every callback is taken, and goes nowhere."""

    def __init__(self) -> None:
        super().__init__(None)

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        return PostResult(200, None, 0.0)


def fill(api: Api) -> None:
    """Objects of every kind and in every state, with work that waits."""
    photo = (io.BytesIO(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "1.gif")
    form = {"tune[title]": "Jane", "tune[name]": "woman", "tune[branch]": "fast"}
    form |= {"tune[images][]": photo, "tune[characteristics]": '{"eye_color": "blue eyes"}'}
    assert api.call("POST", "/tunes", data=form).status_code == 201
    api.client.post("/_emulator/faults", json={"fault": "prompt-fails", "nth": [2]})
    lora = api.tune(title="L", branch="flux1", callback=CALLBACK, auto_extend=True)
    api.tune(title="F", branch="sd15", model_type="faceid")
    place = api.post("/workspaces", {"workspace": {"title": "W", "brief": "calm"}})
    pack = api.post("/packs", {"pack": {"title": "P"}})
    api.prompt(lora["id"], callback=CALLBACK, workspace_id=place["id"], **SMALL)
    first = api.prompt(690204, text="a <lora:5000002:0.5>", pack_id=pack["id"], **SMALL)
    api.prompt(690204, text="b", cfg_scale=7, aspect_ratio="3:4", num_images=1)
    api.finish()
    api.post(f"/prompts/{first['id']}/duplicate", {"prompt": {"text": "c"}})
    assert api.call("POST", f"/prompts/{first['id']}/likes").status_code < 300
    picture = f"http://localhost/{'a' * 28}"
    api.prompt(3618064, text="d", input_image_url=picture, image_reference_urls=[picture], **VIDEO)
    run = {"tune_ids": [lora["id"]], "prompts_callback": CALLBACK, "prompt_attributes": SMALL}
    api.post("/p/260/tunes", {"tune": run})
    waiting = api.tune(title="T", base_tune_id=api.tune(title="base")["id"], name="cat")
    api.prompt(waiting["id"], **SMALL)
    api.client.patch("/_emulator/settings", json={"idempotency": False})


def exported(api: Api) -> dict[str, bytes]:
    """The entries of an export."""
    answer = api.client.get("/_emulator/state")
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.data)) as found:
        return {name: found.read(name) for name in found.namelist()}


def imported(api: Api, entries: dict[str, bytes]) -> Any:
    data = zipped(*entries.items(), method=zipfile.ZIP_STORED)
    return api.client.put("/_emulator/state", data=data, content_type="application/zip")


def paths(node: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a document."""
    if at:
        yield at
    for step, child in (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    ):
        yield from paths(child, (*at, step))


DELETED = object()
VALUES: tuple[Any, ...] = (
    *(DELETED, None, True, False, 0, 1, -1, 7, 2**31, 2**40, 2**63, -(2**70), 0.5, 1e308),
    *("", "x", "x" * 70_000, "tune", "prompt", "failed", "queued", "finished", "trained"),
    *("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9000-12-31T23:59:59Z", "r" * 28),
    *([], [1], ["x"], [None], [[]], {}, {"a": 1}, {"x": {}}, 5_000_001, 45_000_001, 5_001, 690204),
)


def changed(document: Any, path: Path, value: Any) -> Any:
    """The document with another value at a place."""
    document = json.loads(json.dumps(document))
    at = document
    for step in path[:-1]:
        at = at[step]
    if value is DELETED:
        at.pop(path[-1], None) if isinstance(at, dict) else at.pop(path[-1])
    else:
        at[path[-1]] = value
    return document


def use(api: Api) -> None:
    """Ask for all there is, do all work, change and delete objects, and export: nothing fails."""

    def ask(method: str, path: str, **kwargs: Any) -> Any:
        with api.call(method, path, **kwargs) as answer:
            assert answer.status_code < 500, (method, path, answer.text)
            is_json = answer.status_code < 300 and answer.content_type == "application/json"
            return answer.json if is_json and answer.data else []

    def look() -> tuple[list[Any], list[Any]]:
        """Every object and every file but pictures, which take long to draw."""
        for path in ("/packs", "/workspaces", "/users", "/gallery/packs", "/gallery/tunes"):
            ask("GET", path)
        for path in ("callbacks", "jobs", "settings", "clock", "seed"):
            ask("GET", f"/_emulator/{path}")
        tunes = ask("GET", "/tunes?limit=120", headers={"X-Workspace-Id": "all"})
        prompts = ask("GET", "/prompts?limit=120&text=a", headers={"X-Workspace-Id": "all"})
        prompts = ask("GET", "/prompts?limit=120", headers={"X-Workspace-Id": "all"})
        for tune in tunes:
            ask("GET", f"/tunes/{tune['id']}")
            ask("GET", f"/tunes/{tune['id']}/prompts")
            ask("GET", f"/_emulator/tunes/{tune['id']}")
            for url in (*tune["orig_images"][:1], *tune["ckpt_urls"]):
                ask("GET", url)
        for prompt in prompts:
            ask("GET", f"/prompts/{prompt['id']}?expand[]=comments")
        for pack in ask("GET", "/packs"):
            ask("GET", f"/p/{pack['slug']}?expand[]=prompt.comments")
        return tunes, prompts

    tunes, prompts = look()
    ask("PATCH", f"/tunes/{tunes[0]['id'] if tunes else 1}", json={"tune": {"title": "new"}})
    api.finish()
    tunes, prompts = look()
    for object in api.client.application.services.store.rows():  # type: ignore[attr-defined]
        assert FAILED not in (object.get("failure"), object.get("user_error")), object
    for prompt in prompts[:4]:
        ask("POST", f"/prompts/{prompt['id']}/duplicate", json={"prompt": {"w": 64}})
        ask("POST", f"/prompts/{prompt['id']}/likes")
        ask("PATCH", f"/prompts/{prompt['id']}", json={"prompt": {"base_pack_id": 260}})
        for url in prompt["images"][:1]:
            if prompt["w"] == 64:
                ask("GET", url)
    for tune in tunes[:2]:
        ask("POST", f"/tunes/{tune['id']}/prompts", json={"prompt": {"text": "x", **SMALL}})
        run = {"tune_ids": [tune["id"]], "prompt_attributes": SMALL}
        for pack in ask("GET", "/packs"):
            ask("POST", f"/p/{pack['slug']}/tunes", json={"tune": run})
    for call in ask("GET", "/_emulator/callbacks")[:2]:
        ask("POST", f"/_emulator/callbacks/{call['id']}/redeliver")
    ask("POST", "/tunes", json={"tune": {"title": "n", "name": "man", "image_urls": [CALLBACK]}})
    api.client.post("/_emulator/clock", json={"days": 31})
    api.finish()
    look()
    entries = exported(api)
    answer = imported(api, entries)
    assert answer.status_code == 200, answer.text
    assert exported(api) == entries
    for tune in tunes[::2]:
        ask("DELETE", f"/tunes/{tune['id']}")
    for prompt in prompts[::2]:
        ask("DELETE", f"/prompts/{prompt['id']}")
    api.finish()
    look()


def api_of(app: Emulator) -> Api:
    return Api(app.test_client())
