"""Draw the pictures of docs/guide/pictures.md, by running the code that the page shows: `make pictures`."""

import os
from doctest import DocTestParser
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]


def main(page: Path = DOCS / "guide" / "pictures.md", folder: Path = DOCS / "assets" / "pictures") -> None:
    """Run all examples of a page as one session in a folder, where they leave their files."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    session: dict[str, object] = {}
    for example in DocTestParser().get_examples(page.read_text(encoding="utf-8")):
        exec(compile(example.source, str(page), "exec"), session)


if __name__ == "__main__":
    main()
