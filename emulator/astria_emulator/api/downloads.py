"""Serve files: uploads unchanged, and pictures drawn when they are first fetched."""

import io
import json
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from werkzeug.http import parse_etags
from werkzeug.utils import send_file
from werkzeug.wrappers import Response as BaseResponse

from astria_emulator.errors import NotFound
from astria_emulator.mock.backend import render
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
CACHED_DRAWINGS = 32
DRAWING_AT_ONCE = 2  # the largest picture takes about 425 MB while it is drawn


class Downloads:
    """Answers a file's address."""

    def __init__(self) -> None:
        self._gate = threading.Semaphore(DRAWING_AT_ONCE)
        self._drawn = lru_cache(CACHED_DRAWINGS)(self._draw)

    def respond(self, files: Files, key: str, environ: dict[str, Any]) -> BaseResponse:
        """Answer with a file, its ETag and the range that was asked for.

        Raises NotFound.
        """
        file = files.get(key) if KEY.fullmatch(key) else None
        if file is None:
            raise NotFound
        # The key suffices: a picture is not drawn again for a cache that has it.
        if parse_etags(environ.get("HTTP_IF_NONE_MATCH")).contains_weak(key):
            return BaseResponse(status=304, headers={"ETag": f'"{key}"', **HEADERS})
        try:
            response = send_file(self._source(file), environ, mimetype=file.content_type, etag=key)
        except FileNotFoundError:  # erased in the meantime
            raise NotFound from None
        # Set for files on a disk, but the content of an address never changes.
        response.headers.pop("Last-Modified", None)
        response.headers.update(HEADERS)
        return response

    def _source(self, file: File) -> io.BytesIO | Path:
        if file.path is not None:
            return file.path
        if file.data is not None:
            return io.BytesIO(file.data)
        return io.BytesIO(self._drawn(json.dumps(file.recipe, sort_keys=True)))

    def _draw(self, recipe: str) -> bytes:
        with self._gate:
            return render(json.loads(recipe))
