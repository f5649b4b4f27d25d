"""The page in a real browser: mouse, keyboard, languages, colours, widths; where there is a Chromium."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support import browser
from support.browser import Browser

from lamina.pictures.page import serve
from lamina.pictures.page.data import page_data
from lamina.pictures.page.page import page_html
from lamina.pictures.page.server import Server

needed = pytest.mark.skipif(browser.program() is None, reason="there is no Chromium")
TEXT = "document.querySelector('.panel:nth-child({n}) {of}').textContent"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page_html(), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture
def page(opened: Browser, file: str) -> Iterator[Browser]:
    opened.size(1200, 900)
    opened.media(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    opened.errors.clear()
    opened.open(file)
    yield opened
    assert opened.errors == []  # no error in the console, and nothing asked of a network


def text(page: Browser, of: str, n: int = 1) -> str:
    return page.evaluate(TEXT.format(of=of, n=n))


def hash_of(page: Browser) -> str:
    return page.evaluate("location.hash")


@needed
def test_arguments_move_picture_numbers_and_code(page):
    assert "(N, 10, 4)" in text(page, ".facts")
    assert page.evaluate("document.querySelectorAll('.cell.k0').length") == 4  # a tap over four channels
    page.evaluate("document.getElementById('p0-dilation_rate').focus()")
    page.type("2")
    assert "(N, 8, 4)" in text(page, ".facts")
    assert "Conv1D(4, 3, dilation_rate=2)" in text(page, ".spelled")
    assert "AtrousConvolution1D(4, 3, atrous_rate=2)" in text(page, ".spelled")
    assert "nn.Conv1d(4, 4, 3, dilation=2)" in text(page, ".spelled")
    assert page.evaluate("document.getElementById('p0-dilation_rate-slide').value") == "2"
    page.evaluate("document.getElementById('p0-filters-slide').focus()")
    page.key("ArrowRight")
    assert "(N, 8, 5)" in text(page, ".facts") and page.evaluate("document.getElementById('p0-filters').value") == "5"
    page.evaluate("document.getElementById('p0-padding').focus()")
    page.key("End")
    assert "padding=" in hash_of(page) and "causal" in text(page, ".spelled")
    page.click("#p0-use_bias")
    assert "use_bias=False" in text(page, ".spelled")
    page.evaluate("document.getElementById('p0-data_format').focus()")
    page.key("End")
    assert "(N, 5, 12)" in text(page, ".facts")


@needed
def test_what_does_not_go_together_says_why(page):
    page.evaluate("document.getElementById('p0-dilation_rate').focus()")
    page.type("2")
    page.evaluate("document.getElementById('p0-strides').focus()")
    page.type("2")
    assert "cannot be combined" in text(page, "[role=alert]")
    assert page.evaluate("document.querySelector('.picture').hidden && document.querySelector('.player').hidden")
    page.type("x")
    assert "`strides` must be a positive integer" in text(page, "[role=alert]")
    page.type("1")
    assert page.evaluate("document.querySelector('[role=alert]').hidden")
    page.evaluate("document.getElementById('p0-kernel_size').focus()")
    page.type("9")
    assert "does not fit" in text(page, "[role=alert]")


@needed
def test_a_cell_shows_what_it_sees_by_mouse_and_keyboard(page):
    assert text(page, ".caption") == "output [0, 0] sees input [0–2, 0–3]"
    page.click(".cell.out:nth-of-type(n) ~ .cell.out ~ .cell.out ~ .cell.out ~ .cell.out")
    assert text(page, ".caption") != "output [0, 0] sees input [0–2, 0–3]"
    page.evaluate("document.querySelector('.player input').focus()")
    page.key("Home")
    page.key("ArrowRight", times=2)
    assert text(page, ".caption") == "output [2, 0] sees input [2–4, 0–3]"
    assert page.evaluate("document.querySelector('.player input').getAttribute('aria-valuetext')") == text(
        page, ".caption"
    )
    page.key("ArrowDown")
    assert text(page, ".caption") == "output [2, 1] sees input [2–4, 0–3]"
    page.click(".player button:nth-child(3)")
    assert text(page, ".caption").startswith("output [3, 1]")
    page.click(".player button:nth-child(1)")
    assert text(page, ".caption").startswith("output [2, 1]")
    page.click(".player button:nth-child(2)")
    page.wait("document.querySelector('.caption').textContent.startsWith('output [3, 1]')")
    page.click(".player button:nth-child(2)")
    assert page.evaluate("document.querySelector('.player button:nth-child(2)').getAttribute('aria-label')") == "Play"


@needed
def test_the_hash_holds_the_state(page, file):
    state = "#show=Conv2D&filters=6&kernel_size=3,1&strides=2&padding=same&input=9,8,3&at=5"
    state += "&2.show=LSTM&2.units=7&2.return_sequences=false&lang=zh&theme=dark"
    page.open(file + state)
    assert "(N, 5, 4, 6)" in text(page, ".facts") and "(N, 7)" in text(page, ".facts", 2)
    assert "Conv2D(6, (3, 1)" in text(page, ".spelled")
    assert "输出 [1, 1, 0]" in text(page, ".caption")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.click(".player button:nth-child(3)")
    assert hash_of(page) == state.replace("at=5", "at=6")
    page.evaluate("location.hash = '#show=<img src=x onerror=alert(1)>&filters=</script><b>'")
    page.wait("document.querySelector('.chosen select').value === 'Conv1D'")
    assert page.evaluate("document.querySelectorAll('main img, main b b').length") == 0
    page.evaluate("location.hash = '#show=Dense&units=<b>1</b>&input=2,__proto__'")
    page.wait("document.querySelector('.chosen select').value === 'Dense'")
    assert "whole numbers" in text(page, "[role=alert]") or "positive integer" in text(page, "[role=alert]")


@needed
def test_what_is_too_large_to_draw_has_its_numbers(page, file):
    for state in ("#show=LayerNormalization&input=512,512,64", "#show=Conv2D&kernel_size=99999&padding=same"):
        page.open(file + state + "&at=3")
        assert "(N, " in text(page, ".facts") and "Too much" in text(page, ".seen > small")
        assert page.evaluate("document.querySelector('.picture').hidden")
    for state in (
        "#show=Conv2D&input=9999,9999,64",
        "#show=ZeroPadding2D&input=9999,9999,64",
        "#show=Dense&input=99,999,64",
    ):
        page.open(file + state)
        assert 100 < page.evaluate("document.querySelectorAll('.cell').length") < 4000
    page.open(file + "#show=Conv1D&filters=1000000000")
    assert "at most 100000" in text(page, "[role=alert]")


@needed
def test_two_layers_stand_side_by_side(page):
    page.click("#compare")
    assert page.evaluate("document.querySelectorAll('.panel').length") == 2
    left, right = page.evaluate("[...document.querySelectorAll('.panel')].map((one) => one.getBoundingClientRect().x)")
    assert right > left + 400
    rows = page.evaluate("[...document.querySelectorAll('#costs tr')].map((row) => row.textContent)")
    assert any(row.startswith("Parameters5232") and "× 0.615" in row for row in rows), rows
    assert "2.show=SeparableConv1D" in hash_of(page)
    page.click("#compare")
    assert page.evaluate("document.querySelectorAll('.panel').length") == 1
    assert page.evaluate("document.getElementById('costs').hidden")


@needed
def test_every_layer_opens_in_both_languages_and_is_drawn(page, file):
    for language in ("en", "zh"):
        page.evaluate(f"location.hash = '#lang={language}'")
        for name in page_data()["layers"]:
            page.evaluate(f"location.hash = '#show={name}&lang={language}&at=1'")
            page.wait(f"document.querySelector('.chosen select').value === '{name}'")
            assert page.evaluate("document.querySelectorAll('.cell.out').length") > 0, name
            assert not any(word in text(page, "") for word in ("undefined", "NaN", "{", "[object")), (
                name,
                text(page, ""),
            )
            about = text(page, ".about")
            assert len(about) > 5 and any("一" <= letter <= "鿿" for letter in about) == (language == "zh"), (
                name,
                about,
            )
            spelled = page.evaluate("[...document.querySelectorAll('.spelled dt')].map((one) => one.textContent)")
            assert spelled == ["Keras 1", "Keras 2", "tf.keras", "Keras 3", "Lamina", "PyTorch"]


@needed
def test_the_keyboard_alone_reaches_everything(page):
    reached = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        page.key("Tab")
        found = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            "const name = e.id || e.getAttribute('aria-label') || e.tagName;"
            "return [name, parseFloat(s.outlineWidth), s.outlineStyle]; })()"
        )
        if found[0] == "BODY":
            break
        assert found[1] >= 2 and found[2] != "none", found  # the focus is seen
        reached.append(found[0])
    wanted = {"language", "theme", "compare", "layer0", "Play", "One back", "One on", "p0-filters", "p0-filters-slide"}
    assert wanted <= {*reached} and len(reached) == len({*reached})
    everything = page.evaluate("document.querySelectorAll('select, input, button').length")
    assert len(reached) == everything


@needed
def test_every_control_has_a_name(page, file):
    page.open(file + "#show=MultiHeadAttention&2.show=ZeroPadding2D")
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    roles = ("slider", "textbox", "checkbox", "combobox", "button", "spinbutton", "image")
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    controls = [(role, name) for role, name in found if role in roles]
    assert len(controls) > 25 and all(name.strip() for _, name in controls), controls
    assert any(role == "image" and "sees" in name for role, name in controls)


@needed
@pytest.mark.parametrize(
    "state",
    [
        "",
        "#show=Conv2D&lang=zh&2.show=SeparableConv2D",
        "#show=MultiHeadAttention&theme=dark",
        "#show=Conv3D&padding=same",
        "#show=Dropout&lang=zh",
        "#show=BatchNormalization&input=4,4,3",
    ],
)
def test_a_telephone_needs_no_scrolling_sideways(page, file, state):
    page.size(360, 740)
    page.open(file + state)
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1] == 360
    beyond = page.evaluate(
        "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 361)"
        ".map((e) => e.tagName + e.className)"
    )
    assert beyond == []


def _light(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)"."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@needed
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_stand_out_in_light_and_dark(page, file, theme):
    page.media(prefers_color_scheme=theme)
    page.open(file)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    colours = page.evaluate(
        "['.about', 'small', 'dd', 'dt', '.spelled dd', '.control label', '.caption'].map((of) => {"
        "const e = document.querySelector(of); let p = e, b;"
        "do { b = getComputedStyle(p).backgroundColor; p = p.parentElement; } while (b === 'rgba(0, 0, 0, 0)');"
        "return [of, getComputedStyle(e).color, b]; })"
    )
    for of, ink, ground in colours:
        bright, dark = sorted((_light(ink), _light(ground)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (of, ink, ground)
    page.evaluate("document.getElementById('theme').focus()")
    page.key("End")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


# The server -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def address() -> Iterator[str]:
    with Server("<!doctype html><p>what layers do") as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def answer(url: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=20) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers)


def test_the_server_gives_one_page_to_this_machine_alone(address):
    assert answer(address) == (200, "<!doctype html><p>what layers do")
    assert answer(address + "/?x=1")[0] == 200
    assert answer(address, "HEAD") == (200, "")
    for path in ("/etc/passwd", "/../page.py", "/index.html"):
        assert answer(address + path)[0] == 404
    for host in ("example.org", "example.org:80", "127.0.0.1", "127.0.0.1.example.org"):
        assert answer(address, Host=host)[0] == 403
    port = address.rpartition(":")[2]
    assert answer(address, Host=f"localhost:{port}")[0] == 200
    assert answer(address, "POST")[0] == 501
    with Server("") as server:
        assert server.server_address[0] == "127.0.0.1"


def test_the_command_writes_the_page_and_names_what_fails(tmp_path: Path, capsys):
    from lamina.cli import main

    path = tmp_path / "page.html"
    assert main(["explain", "--page", str(path), "--lang", "zh"]) == 0
    assert path.read_text("utf-8") == page_html("zh")
    assert main(["explain", "--page", str(tmp_path / "none" / "page.html")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main(["explain", "Dense(3)", "--page", str(path)]) == 2
    assert main(["explain", "Dense(3)", "--no-browser"]) == 2
    assert "go with --serve" in capsys.readouterr().err
    with Server("") as server:
        assert main(["explain", "--serve", "--no-browser", "--port", str(server.server_port)]) == 1
    assert "in use" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["explain", "--serve", "--port", "99999"])


def test_ctrl_c_ends_the_server_quietly(monkeypatch, capsys):
    import webbrowser

    seen: list[str] = []
    monkeypatch.setattr(webbrowser, "open", seen.append)

    def interrupted(self: Any, *_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", interrupted)
    serve.serve("<p>")
    printed = capsys.readouterr()
    assert seen and seen[0] in printed.out and printed.err == ""
    assert json.dumps(seen[0]).startswith('"http://127.0.0.1:')
