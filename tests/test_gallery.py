"""The scripts of `examples/` run in a reduced size, draw what their docstrings show, and become pages of the site."""

import importlib.util
import re
import runpy
from pathlib import Path

import pytest

import tnalgebra
from tnalgebra.algebra import registry

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "compress_digits": {"digits": 10},
    "expressivity_gap": {"longest": 6},
    "many_variables": {"d": 4, "digits": 3},
    "mnist_patches": {"images": 100, "epochs": 1},
    "moons_boundaries": {"points": 50, "epochs": 2, "resolution": 10},
    "order_is_meaning": {"size": 5},
    "rank_certificates": {"steps": 4},
    "spin_glass": {"size": 3},
    "telephone_keys": {"sentence": "simple is better"},
    "your_own_operator": {"stations": 5, "trials": 1000},
}
SCRIPTS = [pytest.param(path, id=path.stem) for path in sorted((ROOT / "examples").glob("*.py"))]


@pytest.fixture(scope="module")
def gallery():
    """The hook that makes the pages; it needs MkDocs."""
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "docs" / "hooks" / "gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_runs_and_draws_what_its_docstring_shows(script, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    monkeypatch.chdir(tmp_path)
    tnalgebra.plan_cache.clear()
    example = runpy.run_path(str(script))
    example["main"](**SMALL[script.stem])
    assert capsys.readouterr().out
    shown = re.findall(r"!\[[^]]+\]\((\S+\.png)\)", example["__doc__"])
    assert {path.name for path in tmp_path.iterdir()} == set(shown) != set()


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_is_short(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 60


SCRIPT = '''"""A title.

A story, with a ![dot](dot.png).
"""

from pathlib import Path

Path("dot.png").write_bytes(b"picture")
print("done")
'''

PAGE = """# A title

A story, with a ![dot](dot.png).

```{.python title="examples/dot.py"}
from pathlib import Path

Path("dot.png").write_bytes(b"picture")
print("done")
```

It prints

```text
done
```
"""


def test_a_page_has_the_story_the_code_and_the_output(gallery, tmp_path):
    script = tmp_path / "dot.py"
    script.write_text(SCRIPT, encoding="utf-8")
    printed, pictures = gallery.run(script, SCRIPT)
    assert pictures == {"dot.png": b"picture"}
    assert gallery.written(script, SCRIPT, printed) == PAGE


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SCRIPT + "1 / 0\n", r"dot\.py failed:[\s\S]*ZeroDivisionError"),
        (SCRIPT.replace("(dot", "(spot"), r"dot\.py draws \['dot\.png'\]; its docstring shows \['spot\.png'\]"),
    ],
)
def test_a_script_that_fails_or_draws_something_else_stops_the_build(gallery, tmp_path, source, message):
    from mkdocs.exceptions import PluginError

    script = tmp_path / "dot.py"
    script.write_text(source, encoding="utf-8")
    with pytest.raises(PluginError, match=message):
        gallery.run(script, source)
