"""Image inspection: what a picture shows."""

from collections.abc import Mapping
from typing import Any

from astria_emulator.backend import Artefact
from astria_emulator.objects.fetching import load_files
from astria_emulator.services import Caller, Services


def inspect_image(
    services: Services, caller: Caller, *, body: Mapping[str, Any]
) -> Mapping[str, Any]:
    file = load_files(services, caller, body).get("file")
    image = file.content if isinstance(file, Artefact) else file.data if file else None
    # A picture that has not been fetched or drawn is inspected by its address.
    image = image if isinstance(image, bytes) else body["file_url"]
    return services.backend.inspect(image, body["name"])
