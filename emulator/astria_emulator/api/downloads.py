"""Serve files: uploads unchanged, and pictures drawn when they are first fetched."""

import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from werkzeug.http import parse_etags
from werkzeug.utils import send_file
from werkzeug.wrappers import Response as BaseResponse

from astria_emulator.errors import NotFound
from astria_emulator.mock.rendering import Renderer
from astria_emulator.request.connection import result_of
from astria_emulator.storage.file_keys import KEY
from astria_emulator.storage.files import File, Files

# The content of an address never changes: its key is derived from the content.
HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # An upload may be a web page, which must not act as a page of this server. The rest is for the
    # page in which a browser shows a picture or a video.
    "Content-Security-Policy": (
        "sandbox allow-same-origin; default-src 'none'; "
        "img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
    ),
    "X-Content-Type-Options": "nosniff",
}
Source = io.BytesIO | Path


@dataclass(frozen=True)
class Download:
    """A file that is asked for; `source` is None where the client has it already."""

    file: File
    source: Source | None


class Downloads:
    """Answers a file's address."""

    def __init__(self) -> None:
        self._renderer = Renderer()

    def find(self, files: Files, key: str, environ: dict[str, Any]) -> Download | None:
        """Return a file, once it is drawn; None where there is no such file."""
        file = files.get(key) if KEY.fullmatch(key) else None
        if file is None:
            return None
        # The key suffices: a picture is not drawn again for a cache that has it.
        if parse_etags(environ.get("HTTP_IF_NONE_MATCH")).contains_weak(key):
            return Download(file, None)
        return Download(file, self._source(file, environ))

    def close(self) -> None:
        """Forget what was drawn."""
        self._renderer.close()

    def _source(self, file: File, environ: dict[str, Any]) -> Source:
        if file.path is not None:
            return file.path
        if file.data is not None:
            return io.BytesIO(file.data)
        return io.BytesIO(result_of(environ, partial(self._renderer.begin, file.recipe or {})))


def respond(download: Download | None, environ: dict[str, Any]) -> BaseResponse:
    """Answer with a file, its ETag and the range that was asked for.

    Raises NotFound.
    """
    if download is None:
        raise NotFound
    key, kind = download.file.key, download.file.content_type
    if download.source is None:
        return BaseResponse(status=304, headers={"ETag": f'"{key}"', **HEADERS})
    try:
        response = send_file(download.source, environ, mimetype=kind, etag=key)
    except FileNotFoundError:  # erased in the meantime
        raise NotFound from None
    # Set for files on a disk, but the content of an address never changes.
    response.headers.pop("Last-Modified", None)
    response.headers.update(HEADERS)
    return response
