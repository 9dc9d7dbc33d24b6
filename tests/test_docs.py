"""The documentation is true: examples run and print what the pages show, and no page or public name is left out."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tnalgebra
from tnalgebra import errors
from tnalgebra.algebra import registry
from tnalgebra.algebra.builtin import BUILTIN

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FENCE = re.compile(r"^```(?P<language>\w+)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def blocks(page, language):
    """(line, text) of every fenced block of one language."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match["language"] == language:
            yield text[: match.start("body")].count("\n"), match["body"]


def pages_with(language):
    return [pytest.param(page, id=name_of(page)) for page in PAGES if any(blocks(page, language))]


# --- what the pages show is what the code prints -----------------------------------------------------------------


@pytest.mark.parametrize("page", pages_with("pycon"))
def test_python_examples_print_what_the_page_shows(page, monkeypatch, tmp_path):
    """All blocks of a page are one session; operators that it registers are forgotten after it."""
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    monkeypatch.chdir(tmp_path)
    tnalgebra.plan_cache.clear()
    parser, examples = doctest.DocTestParser(), []
    for line, body in blocks(page, "pycon"):
        for example in parser.get_examples(body):
            example.lineno += line
            examples.append(example)
    test = doctest.DocTest(examples, {}, name_of(page), str(page), 0, None)
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    report = []
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def run_command(command, folder):
    """Output of a `tnalgebra ...` command line, errors included, and its exit code."""
    program, *arguments = shlex.split(command)
    assert program == "tnalgebra"
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-m", "tnalgebra", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.stdout + run.stderr, run.returncode


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_print_what_the_page_shows(page, tmp_path):
    checker = doctest.OutputChecker()
    for _, body in blocks(page, "console"):
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            printed, _ = run_command(command, tmp_path)
            assert checker.check_output(shown, printed, OPTIONS), f"$ {command}\n{printed}"


# --- nothing is left out -----------------------------------------------------------------------------------------


def navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return re.findall(r"([\w/.-]+\.md)$", text[text.index("\nnav:") :], re.MULTILINE)


def made_pages():
    """Pages that docs/hooks/gallery.py makes while the site is built."""
    return [f"gallery/{script.stem}.md" for script in EXAMPLES]


def test_every_page_is_in_the_navigation_once():
    assert sorted(navigation()) == sorted(
        [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")] + made_pages()
    )


def referenced():
    """Names that a reference page generates."""
    pages = sorted((DOCS / "reference").glob("*.md"))
    return {
        name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }


def addresses(name):
    """What a reference page may call a public name: its public address, or where it is defined."""
    found = getattr(tnalgebra, name)
    home = getattr(found, "__module__", None)
    return {f"tnalgebra.{name}"} | ({f"{home}.{name}"} if home else set())


def test_every_public_name_is_in_the_reference():
    assert [name for name in tnalgebra.__all__ if not addresses(name) & referenced()] == []


def test_every_error_is_in_the_reference():
    assert "tnalgebra.errors" in referenced()
    assert all(getattr(errors, name).__doc__ for name in errors.__all__)


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in PAGES])
def test_links_and_pictures_are_there(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.split("#")[0] for target in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", text)]
    made = {DOCS / name for name in made_pages()}
    files = {target: (page.parent / target).resolve() for target in targets}
    assert [target for target, file in files.items() if not file.exists() and file not in made] == []
    assert re.findall(r"!\[\s*\]", text) == [], "a picture needs alternative text"


def test_the_pictures_of_the_guide_are_those_that_its_code_draws():
    page = (DOCS / "guide" / "pictures.md").read_text(encoding="utf-8")
    shown = re.findall(r"\(\.\./assets/pictures/([\w.-]+)\)", page)
    assert shown == re.findall(r'"([\w-]+\.(?:svg|png))"', page)
    assert sorted(shown) == sorted(path.name for path in (DOCS / "assets" / "pictures").iterdir())


# --- tables that repeat what the code declares -------------------------------------------------------------------


def names_in(cell):
    return frozenset(re.findall(r"`(\w+)`", cell))


def test_the_table_of_distributive_pairs_is_what_the_operators_declare():
    text = (DOCS / "guide" / "contraction.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`[^|]*) \|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    shown = {name: (names_in(over), names_in(nonnegative)) for xis, over, nonnegative in rows for name in names_in(xis)}
    declared = {op.name: (op.distributes_over, op.distributes_over_nonnegative) for op in BUILTIN}
    assert shown == declared
