"""States on their way from one server to another."""

import io
import json
import zipfile
from typing import Any

SMALL = {"w": 64, "h": 64, "num_images": 1}


def exported(api: Any) -> bytes:
    answer = api.client.get("/_emulator/state")
    assert (answer.status_code, answer.content_type) == (200, "application/zip")
    return bytes(answer.data)


def imported(api: Any, archive: bytes, **more: Any) -> Any:
    return api.client.put(
        "/_emulator/state", data=archive, **{"content_type": "application/zip", **more}
    )


def restored(api: Any, archive: bytes) -> Any:
    answer = imported(api, archive)
    assert answer.status_code == 200, answer.text
    return answer.json


def document(archive: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        return json.loads(found.read("state.json"))
