"""A client of one account. It checks every answer against the contract."""

import shlex
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests

from astria_contracts.client.costs import is_costly
from astria_contracts.client.target import Answer, Exchange, Target
from astria_contracts.spec.document import JSON, Operation
from astria_contracts.spec.encoding import NOTHING, curl_body, encode

POLL_SECONDS = (0.05, 2.0)  # first and longest pause
IN_CURL = {
    "first": "$ASTRIA_API_KEY",
    "second": "$ASTRIA_SECOND_KEY",
}  # shown in the place of a key
PAGE = 120  # the largest page
FLUX, STABLE_DIFFUSION = 1504944, 690204  # documented bases, of LoRA and of FaceID tunes


class ContractViolation(AssertionError):
    """An answer breaks the contract."""


class Api:
    """Calls operations with one key."""

    def __init__(self, target: Target, key: str):
        self.target, self.key = target, key

    def __repr__(self) -> str:  # in the cases that a report shows
        return "Api(...)"

    # -- one request -------------------------------------------------------------------------------
    def call(
        self,
        method: str,
        path: str,
        body: Any = NOTHING,
        *,
        media_type: str = JSON,
        raw: bytes | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> requests.Response:
        """Send a request and check the answer; `raw` bytes are sent as they are, as `media_type`.

        Raises ContractViolation.
        """
        found = self.target.document.find(method, path)
        assert found, f"the contract has no {method} {path}"
        operation, values = found
        content = raw.decode(errors="replace") if raw is not None and body is NOTHING else body
        if self.is_too_costly(operation, values, content):
            pytest.skip(f"{operation}: {self.target.lacks['paid']}")
        key = self.key if key is None else key
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        kwargs: dict[str, Any] = {}
        if raw is not None:
            kwargs = {"data": raw, "headers": {"Content-Type": media_type}}
        elif body is not NOTHING:
            kwargs = encode(body, media_type)
        all_headers = {**sent, **kwargs.pop("headers", {}), **(headers or {})}
        given = {**sent, **(headers or {})}
        try:
            answer = self.target.send(
                method, path, params=dict(query or {}), headers=all_headers, **kwargs
            )
        except requests.RequestException as error:
            url = getattr(error.request, "url", None) or path
            curl = self._curl(method, url, given, body, media_type, raw)
            self.target.exchanges.append(Exchange(operation.id, curl, 0, ""))
            raise ContractViolation(
                f"{operation} was not answered: {type(error).__name__}"
            ) from error
        curl = self._curl(method, answer.request.url or path, given, body, media_type, raw)
        wrong = self.target.record(
            operation,
            curl,
            Answer(answer.status_code, answer.headers, answer.content),
            media_type=None if body is NOTHING and raw is None else media_type.partition(";")[0],
            path=values,
            query=dict(query or {}),
            headers=all_headers,
            body={} if body is NOTHING else body,
        )
        self.target.note_created(key, operation, answer.status_code, answer.content)
        if wrong:
            raise ContractViolation("\n".join(wrong))
        return answer

    def ok(self, method: str, path: str, body: Any = NOTHING, **more: Any) -> Any:
        """The JSON of an answer that must be a success; None where there is no body."""
        answer = self.call(method, path, body, **more)
        shown = answer.text[:300]
        assert answer.ok, f"{method} {path} answered {answer.status_code}: {shown}"
        return answer.json() if answer.content else None

    def get(self, path: str, **query: Any) -> Any:
        return self.ok("GET", path, query=query)

    def refused(
        self, status: int, method: str, path: str, body: Any = NOTHING, **more: Any
    ) -> requests.Response:
        """An answer that must be a refusal."""
        answer = self.call(method, path, body, **more)
        assert answer.status_code == status, (
            f"{method} {path} answered {answer.status_code} and not {status}: {answer.text[:300]}"
        )
        return answer

    def page(self, path: str, **query: Any) -> list[Any]:
        """A whole list, newest first, fetched in pages of the largest size."""
        found: list[Any] = []
        while True:
            before = {"before_id": found[-1]["id"]} if found else {}
            items = self.get(path, limit=PAGE, **query, **before)
            if items and found and items[0]["id"] >= found[-1]["id"]:
                raise ContractViolation(
                    f"GET {path}: the page before {found[-1]['id']} does not go on"
                )
            found += items
            if len(items) < PAGE:
                return found

    def ids(self, path: str, **query: Any) -> list[int]:
        """The ids of a list."""
        return [item["id"] for item in self.page(path, **query)]

    def newest(self) -> list[Any]:
        """The newest object of each kind: the same before and after where nothing was created."""
        lists = ("/tunes", "/prompts", "/packs")
        newest = [[item["id"] for item in self.get(path, limit=1)] for path in lists]
        return [*newest, len(self.get("/workspaces"))]

    def fetch(self, url: str) -> requests.Response:
        """A file by its address, which needs no key."""
        answer = self.target.send("GET", url)
        self.target.exchanges.append(
            Exchange("a file", shlex.join(["curl", url]), answer.status_code, "")
        )
        return answer

    # -- objects -----------------------------------------------------------------------------------
    def unique(self, words: str) -> str:
        """A name that no other object has."""
        # Of the same length, so that none is a prefix of another.
        return f"{words} {self.target.tag}{next(self.target.numbers):05}"

    def tune(self, *, media_type: str = JSON, **attributes: Any) -> Any:
        """A new tune, on the run's branch if no other is given."""
        return self.ok(
            "POST", "/tunes", {"tune": self.tune_attributes(**attributes)}, media_type=media_type
        )

    def tune_attributes(self, **attributes: Any) -> dict[str, Any]:
        """Attributes of a valid tune."""
        urls = [self.target.options.picture_url] * 2
        known = {
            "title": self.unique("Subject"),
            "name": "woman",
            "branch": self.target.options.branch,
        }
        given = {"image_urls": urls} if "images" not in attributes else {}
        merged = {**known, **given, **attributes}
        return {name: value for name, value in merged.items() if value is not None}

    def prompt(self, tune_id: int, *, media_type: str = JSON, **attributes: Any) -> Any:
        body = {"prompt": {"text": "ohwx woman in a garden", **attributes}}
        return self.ok("POST", f"/tunes/{tune_id}/prompts", body, media_type=media_type)

    def lora(self, **attributes: Any) -> Any:
        """A new LoRA of Flux."""
        kind: dict[str, Any] = {"branch": "flux1", "model_type": "lora", "base_tune_id": FLUX}
        return self.tune(**kind | attributes)

    def faceid(self, **attributes: Any) -> Any:
        """A new FaceID tune, which is ready at once."""
        kind: dict[str, Any] = {
            "branch": "sd15",
            "model_type": "faceid",
            "base_tune_id": STABLE_DIFFUSION,
        }
        return self.tune(**kind | attributes)

    # -- time --------------------------------------------------------------------------------------
    def final(self, path: str) -> Any:
        """A tune or a prompt once it is trained or finished."""
        self.finish()
        return self.poll(lambda: self.get(path), lambda found: found["trained_at"])

    def finish(self) -> None:
        """Complete all work, where the target has that capability."""
        if "finish" not in self.target.lacks:
            answer = self.target.control("POST", "finish")
            assert answer.status_code == 200, answer.text

    def advance(self, **span: float) -> None:
        """Move the target's clock; work that is due by then is done."""
        answer = self.target.control("POST", "clock", json=span)
        assert answer.status_code == 200, answer.text

    def poll(self, fetch: Callable[[], Any], is_done: Callable[[Any], Any]) -> Any:
        """Fetch with growing pauses until the result is accepted."""
        pause, deadline = POLL_SECONDS[0], time.monotonic() + self.target.options.patience
        while not is_done(found := fetch()):
            assert time.monotonic() < deadline, (
                f"not done after {self.target.options.patience} s: {found}"
            )
            time.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS[1])
        return found

    # -- costs ----------------------------------------------------------------------------
    def is_too_costly(self, operation: Operation, values: Mapping[str, str], body: Any) -> bool:
        """Whether a request is not to be sent to this target."""
        return self.target.avoids_costs and is_costly(
            operation, values, body, key=self.key, created=self.target.created
        )

    def _curl(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Any,
        media_type: str,
        raw: bytes | None,
    ) -> str:
        """The command that sends the same; the keys of the run are variables."""
        words = ["curl", "-X", method, url]
        keys = {f"Bearer {self.target.keys[name]}": IN_CURL[name] for name in ("second", "first")}
        variable = keys.get(headers.get("Authorization", ""))
        for name, value in headers.items():
            if not (variable and name == "Authorization"):
                words += ["-H", f"{name}: {value}"]
        if raw is not None:
            text = raw[:2000].decode("latin-1")
            words += ["-H", f"Content-Type: {media_type}", "--data-binary", text]
        elif body is not NOTHING:
            words += curl_body(body, media_type)
        named = f' -H "Authorization: Bearer {variable}"' if variable else ""
        return f"{shlex.join(words)}{named}"
