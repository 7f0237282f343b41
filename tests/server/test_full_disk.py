"""A request whose body has no room on the disk is refused, and those after it are answered."""

import errno
import os
from typing import Any

import pytest
from waitress.buffers import TempfileBasedBuffer

from tests.server.raw_clients import CHUNKED, END, POST, TUNE

BODY = b"x" * 300_000  # more than is kept in memory
ONE = POST + b"Content-Length: %d\r\n" % len(BODY) + END + BODY
IN_CHUNKS = CHUNKED + END + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("sent", [ONE, IN_CHUNKS], ids=["whole", "chunked"])
def test_body_that_has_no_room_is_answered_with_503(
    running: Any, monkeypatch: pytest.MonkeyPatch, sent: bytes, error: int
) -> None:
    def newfile(buffer: TempfileBasedBuffer) -> Any:
        raise OSError(error, os.strerror(error))

    server = running()
    with monkeypatch.context() as full:
        full.setattr(TempfileBasedBuffer, "newfile", newfile)
        assert server.ask(sent) == (503, {"status": 503, "error": "Service Unavailable"})
    small = POST + b"Content-Length: %d\r\nConnection: close\r\n" % len(TUNE) + END + TUNE
    assert server.ask(small)[0] == 201
