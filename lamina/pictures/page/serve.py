"""Shows the page: served to this machine's own browser, or written to a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..said import Language


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the page; `run` takes what they parse to."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--serve", action="store_true", help="show the page in the browser, for this machine alone")
    how.add_argument("--page", metavar="FILE.html", help="write the page to a file, which works offline")
    parser.add_argument("--port", type=_port, default=0, help="where --serve listens; default: a free one")
    parser.add_argument("--no-browser", action="store_true", help="with --serve: only print the address")


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, got {number}")
    return number


_OTHERS = ("what", "compare", "input", "layer", "out", "all")  # of the command, which the page has no use for


def wanted(options: argparse.Namespace) -> bool:
    """Whether the page is asked for. Raises ValueError for options that do not go with it, or with nothing else."""
    if not (options.serve or options.page):
        if options.port or options.no_browser:
            raise ValueError("--port and --no-browser go with --serve")
        return False
    if any(getattr(options, name) for name in _OTHERS):
        raise ValueError("the page holds all layers: give --serve or --page, and no layer or other output")
    return True


def run(options: argparse.Namespace, language: Language = "en") -> int:
    """Shows or writes the page as the options say; returns the exit code."""
    from .page import page_html

    try:
        if options.page:
            Path(options.page).write_text(page_html(language), "utf-8")
            print(f"lamina: wrote {options.page}")
        else:
            serve(page_html(language), options.port, browse=not options.no_browser)
    except OSError as error:  # a folder that is not there, a port in use
        print(f"lamina: {error}", file=sys.stderr)
        return 1
    return 0


def serve(html: str, port: int = 0, browse: bool = True) -> None:
    """Serve one page at `/`, to this machine alone, until Ctrl-C. Raises OSError where the port is taken."""
    import webbrowser

    from .server import HERE, Server

    with Server(html, port) as server:
        address = f"http://{HERE}:{server.server_port}/"
        print(f"lamina: {address} shows what layers do; Ctrl-C ends it", flush=True)
        if browse:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
