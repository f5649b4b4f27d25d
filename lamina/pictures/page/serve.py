"""Shows the page: served to this machine's own browser, or written to a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..said import Language

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
