"""Every request that Astria's documentation shows, sent over HTTP with the encoding shown.

The requests are in documented_requests.yaml. Each runs against an emulator of its own, so a DELETE
has its own object and callbacks are never due.
"""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import requests
from PIL import Image

from emulator import drawing
from emulator.app import Emulator
from emulator.spec import Node, Operation, Spec, default_path, load_yaml

REQUESTS = load_yaml(Path(__file__).with_name("documented_requests.yaml"))
KEY = {"Authorization": "Bearer sd_test"}
CLIP = Path(drawing.__file__).parent / "clips" / "1x1.mp4"
PICTURE = ["https://example.com/1.jpg"]

# (source, title): the status that is given instead of the documented one, and why.
EXCEPTIONS = {
    (
        "docs/features/face-inpainting.md",
        "face inpainting, flat JSON to /generate",
    ): (404, "the path is on no other page, and its flat body names no tune to make pictures with"),
}

# What an answer repeats as it was sent, once both are text.
REPEATED = ("title", "name", "branch", "negative_prompt", "num_images", "seed", "w", "h", "ar")
REPEATED += ("aspect_ratio", "callback", "super_resolution", "base_tune_id")


# -- what the placeholders stand for ---------------------------------------------------------------
class Objects:
    """Makes the object that a placeholder names, when it is first asked for."""

    def __init__(self, url: str):
        self._url = url
        self._ids: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        if name not in self._ids:
            self._ids[name] = getattr(self, f"_{name}")()
        return self._ids[name]

    def _post(self, path: str, body: Any = None) -> Any:
        answer = requests.post(self._url + path, json=body, headers=KEY, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def _make_tune(self, **attributes: Any) -> int:
        tune = {"title": "Jane", "name": "woman", "image_urls": PICTURE, **attributes}
        return self._post("/tunes", {"tune": tune})["id"]

    def _tune(self) -> int:
        return self._make_tune(branch="fast")

    def _lora(self) -> int:
        return self._make_tune(base_tune_id=1504944, model_type="lora")

    def _faceid(self) -> int:
        return self._make_tune(base_tune_id=1504944, model_type="faceid")

    def _prompt(self) -> int:
        made = self._post(f"/tunes/{self['tune']}/prompts", {"prompt": {"text": "ohwx woman"}})
        self._post("/_emulator/finish")
        return made["id"]

    def fill(self, value: Any) -> Any:
        """Replace placeholders at any depth; one that is a whole text becomes a number."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        pattern = r"\{(tune|prompt|lora|faceid)\}"
        if whole := re.fullmatch(pattern, value):
            return self[whole[1]]
        return re.sub(pattern, lambda found: str(self[found[1]]), value)


def file_part(name: str) -> tuple[str, bytes, str]:
    """File name, content and content type of an upload."""
    kinds = {
        ".jpg": (jpeg(), "image/jpeg"),
        ".mp4": (CLIP.read_bytes(), "video/mp4"),
        ".mp3": (b"ID3\x04" + bytes(60), "audio/mpeg"),
    }
    return name, *kinds[Path(name).suffix]


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (120, 80, 200)).save(out, "JPEG")
    return out.getvalue()


def send(url: str, documented: Any, objects: Objects) -> requests.Response:
    """Send a request with its encoding, its fields in order."""
    fields = [
        (name, file_part(value["file"]) if isinstance(value, dict) else str(objects.fill(value)))
        for name, value in documented.get("fields", ())
    ]
    body: dict[str, Any] = {
        "none": {},
        "json": {"json": objects.fill(documented.get("json"))},
        "urlencoded": {"data": fields},
        "multipart": {"files": [(n, v if isinstance(v, tuple) else (None, v)) for n, v in fields]},
    }[documented["encoding"]]
    path = objects.fill(documented["path"])
    return requests.request(documented["method"], url + path, headers=KEY, timeout=10, **body)


# -- what is expected ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def spec() -> Spec:
    return Spec.read(default_path())


def operation_of(spec: Spec, method: str, path: str) -> Operation | None:
    """The operation that a method and a path with placeholders or ids name."""
    bare = path.partition("?")[0]

    def fits(template: str) -> bool:
        return bool(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), bare))

    found = [
        operation
        for operation in spec.operations
        if operation.method == method and any(map(fits, (operation.path, *operation.aliases)))
    ]
    return found[0] if found else None


def problems(spec: Spec, schema: Node | None, answer: requests.Response) -> list[str]:
    """How an answer differs from its schema; without one its body must be empty."""
    if schema is None:
        return [f"unexpected body {answer.text!r}"] if answer.content else []
    whole = {**schema, "components": spec.document["components"]}
    judge = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{error.instance_path} {error.message}" for error in judge.iter_errors(answer.json())]


def sent_attributes(documented: Any) -> Iterator[tuple[str, str]]:
    """Names and texts of the plain attributes sent under `tune` or `prompt`."""
    for wrapper in ("tune", "prompt"):
        inner = documented.get("json", {}).get(wrapper)
        for name, value in inner.items() if isinstance(inner, dict) else ():
            yield name, str(value)
        for name, value in documented.get("fields", ()):
            if found := re.fullmatch(rf"{wrapper}\[(\w+)\]", name):
                yield found[1], str(value)


def shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def pictures_sent(documented: Any) -> int:
    inner = documented.get("json", {}).get("tune", {})
    names = [name for name, _ in documented.get("fields", ())]
    return len(inner.get("image_urls", ())) + sum(
        names.count(f"tune[{name}][]") for name in ("images", "image_urls")
    )


# -- the tests -------------------------------------------------------------------------------------
def case(documented: Any) -> Any:
    return pytest.param(documented, id=f"{documented['source']}: {documented['title']}")


def is_exception(documented: Any) -> bool:
    return (documented["source"], documented["title"]) in EXCEPTIONS


@pytest.mark.parametrize("documented", [case(d) for d in REQUESTS if not is_exception(d)])
def test_documented_request_is_answered_as_documented(
    documented: Any, spec: Spec, make_app: Callable[..., Emulator], serve: Callable[..., str]
):
    url = serve(make_app())
    operation = operation_of(spec, documented["method"], documented["path"])
    assert operation, "the contract lacks the operation"
    answer = send(url, documented, Objects(url))
    assert (answer.status_code, answer.text[:500]) == (documented["expect"], answer.text[:500])
    status, schema = operation.success
    assert status == documented["expect"]
    assert problems(spec, schema, answer) == []


@pytest.mark.parametrize(
    "documented", [case(d) for d in REQUESTS if d["expect"] == 201 and not is_exception(d)]
)
def test_documented_creation_keeps_what_was_sent(
    documented: Any, make_app: Callable[..., Emulator], serve: Callable[..., str]
):
    url = serve(make_app())
    answer = send(url, documented, Objects(url))
    made = answer.json() if answer.content else {}
    sent = {
        name: text
        for name, text in sent_attributes(documented)
        if name in REPEATED and name in made and text
    }
    assert {name: shown(made[name]) for name in sent} == sent
    if "orig_images" in made:
        assert len(made["orig_images"]) == pictures_sent(documented)


@pytest.mark.parametrize("documented", [case(d) for d in REQUESTS if is_exception(d)])
def test_documented_request_is_refused_when_it_is_an_exception(
    documented: Any, make_app: Callable[..., Emulator], serve: Callable[..., str]
):
    status, reason = EXCEPTIONS[documented["source"], documented["title"]]
    url = serve(make_app())
    answer = send(url, documented, Objects(url))
    assert (answer.status_code, answer.json()["status"]) == (status, status), reason


def test_every_exception_names_a_documented_request():
    assert set(EXCEPTIONS) <= {(d["source"], d["title"]) for d in REQUESTS}
