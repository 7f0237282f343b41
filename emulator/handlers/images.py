"""Image inspection: what a picture shows."""

from collections.abc import Mapping
from typing import Any

from emulator.services import Caller, Services


def inspect_image(
    services: Services, caller: Caller, *, body: Mapping[str, Any]
) -> Mapping[str, Any]:
    upload = body.get("file")
    return services.backend.inspect(upload.data if upload else body["file_url"], body["name"])
