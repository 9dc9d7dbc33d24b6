"""Run every script of `examples/` while the site is built, and make a page of the gallery of each.

The docstring of the script is the text of its page, pictures with their alternative text included; the code and what
it printed follow. Scripts that fail, or draw what their docstring does not show, stop the build.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PICTURE = re.compile(r"!\[[^]]+\]\(([^)]+)\)")


class Story(NamedTuple):
    """What a script says of itself: a title, the text of its page, and the code without them."""

    title: str
    text: str
    code: str


def story(source):
    """Split a script into its story and its code."""
    docstring = ast.parse(source).body[0]
    title, _, text = docstring.value.value.partition("\n\n")
    code = source.splitlines(keepends=True)[docstring.end_lineno :]
    return Story(title.rstrip("."), text.strip(), "".join(code).strip())


@cache  # `mkdocs serve` builds again and again
def run(script, source):
    """What a script prints, and the files that it writes: name -> content."""
    with tempfile.TemporaryDirectory() as folder:
        python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        one_thread = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")  # scripts run side by side
        environment = {**os.environ, **one_thread, "PYTHONPATH": python_path, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise PluginError(f"{script.name} failed:\n{done.stderr}")
        pictures = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    if set(PICTURE.findall(source)) != set(pictures):
        raise PluginError(f"{script.name} draws {sorted(pictures)}; its docstring shows {PICTURE.findall(source)}")
    return done.stdout, pictures


def written(script, source, printed):
    """The page of a script, as Markdown."""
    title, text, code = story(source)
    return (
        f"# {title}\n\n{text}\n\n"
        f'```{{.python title="examples/{script.name}"}}\n{code}\n```\n\n'
        f"It prints\n\n```text\n{printed.rstrip()}\n```\n"
    )


def on_files(files, config, **_):
    """Add pages and pictures to the site; as many scripts run at a time as there are cores."""
    scripts = sorted(EXAMPLES.glob("*.py"))
    sources = [script.read_text(encoding="utf-8") for script in scripts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for script, source, (printed, pictures) in zip(scripts, sources, pool.map(run, scripts, sources), strict=True):
            content = written(script, source, printed)
            files.append(File.generated(config, f"gallery/{script.stem}.md", content=content))
            for name, picture in pictures.items():
                files.append(File.generated(config, f"gallery/{name}", content=picture))
    return files


def on_page_markdown(markdown, page, **_):
    """Add a card for every script to the first page of the gallery, in the order of the navigation."""
    if page.file.src_uri != "gallery/index.md":
        return markdown
    cards = []
    for other in page.parent.children:
        if other is not page:
            name = Path(other.file.src_uri).stem
            title, text, _code = story((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
            cards.append(f"-   **[{title}]({name}.md)**\n\n    {PICTURE.search(text)[0].replace(chr(10), ' ')}\n")
    return markdown + '\n<div class="grid cards" markdown>\n\n' + "\n".join(cards) + "\n</div>\n"
