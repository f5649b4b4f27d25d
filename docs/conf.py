"""How Sphinx builds these pages: `make docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]  # and the Lamina beside these pages

from lamina import __version__  # noqa: E402

project = "Lamina"
copyright = "The Lamina contributors"
version = release = __version__
extensions = ["myst_parser", "site_parts"]
exclude_patterns = ["_ext"]
nitpicky = True
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"  # all it needs is in the wheel: no fonts or scripts from other hosts
html_title = "Lamina"
html_show_sourcelink = html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["lamina.css"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html", "sidebar/language.html", "sidebar/search.html", "sidebar/scroll-start.html",
        "sidebar/navigation.html", "sidebar/scroll-end.html",
    ]
}  # fmt: skip
