"""The one door to waitress, and the list of what is used of it without being documented.

Waitress documents its server's settings, and no class or method. What `http_server`, `channel` and
`http1` use beyond these settings is listed here, so pyproject.toml allows 3.0 only, and
`tests/server/test_waitress_names.py` compares the list with waitress and with these modules.
"""

from typing import Any

from waitress import server, wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, Task, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest, Error

__all__ = [
    "RELIED_ON",
    "BadRequest",
    "ChunkedReceiver",
    "ClientDisconnected",
    "Error",
    "ErrorTask",
    "HTTPChannel",
    "HTTPRequestParser",
    "ParsingError",
    "Task",
    "ThreadedTaskDispatcher",
    "WSGITask",
    "create_server",
    "wasyncore",
]

# Each owner with its names: the signature of a function or method, "" of anything else.
RELIED_ON: dict[Any, dict[str, str]] = {
    server: {
        # Its settings are documented, and `map` is not: the sockets that the loop looks at.
        "create_server": "(application, map=None, _start=True, _sock=None, _dispatcher=None, **kw)",
    },
    # The loop, a turn at a time: waitress' own `run` drops queued requests when it is interrupted.
    wasyncore: {
        "loop": "(timeout=30.0, use_poll=False, map=None, count=None)",
        "close_all": "(map=None, ignore_all=False)",
    },
    BaseWSGIServer: {
        # Set on the server: whom to make of a connection, who answers, and who closes what stalls.
        "channel_class": "",
        "add_task": "(self, task)",  # called with a channel when its first request has been read
        "pull_trigger": "(self)",  # wakes the loop from another thread
        "maintenance": "(self, now)",  # called from within the loop, every `cleanup_interval`
        "next_channel_cleanup": "",  # when it is next called, in seconds since the epoch
        # Read.
        "effective_port": "",
        "active_channels": "",
        # To stop listening, and yet to serve the connections that are open.
        "accepting": "",
        "del_channel": "(self, map=None)",
        "socket": "",
        "task_dispatcher": "",
        "close": "(self)",
    },
    ThreadedTaskDispatcher: {
        "set_thread_count": "(self, count)",
        "add_task": "(self, task)",
        "shutdown": "(self, cancel_pending=True, timeout=5)",
    },
    HTTPChannel: {
        # Overridden.
        "__init__": "(self, server, sock, addr, adj, map=None)",
        "send": "(self, data, do_close=True)",
        "parser_class": "",
        "task_class": "",
        "error_task_class": "",
        "received": "(self, data)",
        "write_soon": "(self, data)",
        # Called.
        "service": "(self)",  # answers the first request, in the thread that calls
        "handle_close": "(self)",
        # Read, and `last_activity` and `will_close` set.
        "server": "",
        "addr": "",
        "adj": "",
        "socket": "",
        "requests": "",  # that have come and are not answered
        "request": "",  # that is coming, or None
        "total_outbufs_len": "",  # bytes that the client has not taken yet
        "last_activity": "",  # seconds since the epoch
        "will_close": "",
    },
    Adjustments: {
        "max_request_body_size": "",
    },
    HTTPRequestParser: {
        "__init__": "(self, adj)",
        "received": "(self, data)",
        "parse_header": "(self, header_plus)",
        "header_plus": "",  # what has come of the head
        "completed": "",
        "error": "",
        "expect_continue": "",
        "headers_finished": "",
        "command": "",  # the method
        "path": "",
        "headers": "",  # by names as in WSGI, without HTTP_
        "content_length": "",
        "chunked": "",
        "body_rcv": "",  # of a chunked body a ChunkedReceiver
        "body_bytes_received": "",
    },
    ChunkedReceiver: {
        "received": "(self, s)",
        "getbuf": "(self)",
        "buf": "",
        "chunk_remainder": "",
        "control_line": "",  # what has come of a line
        "validate_chunk_end": "",
        "all_chunks_received": "",
        "completed": "",
        "error": "",
    },
    Task: {
        "channel": "",
        "request": "",
        "status": "",
        "content_length": "",
        "response_headers": "",
        "close_on_finish": "",
        "chunked_response": "",
        "write": "(self, data)",
    },
    ErrorTask: {
        "execute": "(self)",
    },
    WSGITask: {
        "get_environment": "(self)",
    },
    Error: {
        "__init__": "(self, body)",
        "code": "",
        "reason": "",
        "body": "",
    },
}
