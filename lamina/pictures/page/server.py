"""A server of one page, for this machine alone."""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HERE = "127.0.0.1"
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Connection": "close",
}


class _Handler(BaseHTTPRequestHandler):
    timeout = 30
    server: Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        # A page elsewhere may point a name of its own at this address; what it then asks for has that name.
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(HTTPStatus.FORBIDDEN, "This page is for this machine alone")
        elif self.path.partition("?")[0] != "/":
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self.send_response(HTTPStatus.OK)
            for header, value in {**_HEADERS, "Content-Length": str(len(self.server.body))}.items():
                self.send_header(header, value)
            self.end_headers()
            if with_body:
                self.wfile.write(self.server.body)

    def version_string(self) -> str:
        return "lamina"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Gives `html` at `/` and nothing else, to what calls this machine by its own names. Raises OSError for a port in
    use; 0 takes a free one."""

    daemon_threads = True

    def __init__(self, html: str, port: int = 0):
        super().__init__((HERE, port), _Handler)
        self.body = html.encode()
        ends = [f":{self.server_port}", *([""] if self.server_port == 80 else [])]
        self.hosts = {name + end for name in (HERE, "localhost") for end in ends}

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a browser that went away
            super().handle_error(request, client_address)
