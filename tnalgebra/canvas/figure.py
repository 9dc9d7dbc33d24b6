"""Figures: one palette, one way to make them and to save them; Matplotlib is imported when something is drawn."""

from abc import ABC, abstractmethod
from base64 import b64encode
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from ..errors import PictureError

__all__ = ["COLOURS", "SERIES", "Drawable", "check_path", "finish", "new_figure"]

COLOURS = {
    "blue": "#0072b2",
    "green": "#009e73",
    "orange": "#e69f00",
    "red": "#d55e00",
    "pink": "#cc79a7",
    "sky": "#56b4e9",
    "grey": "#7f7f7f",
}
"""Okabe and Ito's palette, told apart by colour-blind readers, and grey."""
SERIES = tuple(COLOURS.values())
"""The same in the order in which curves take them."""
DPI = 150
MOST_PIXELS = 60_000
"""Along a side: Agg draws no more than 2¹⁶."""
WIDEST = 40
"""Inches up to which a notebook shows the picture, and not the text."""
ABOUT = {
    ".png": lambda title, text: {"Title": title, "Description": text, "Software": None},
    ".svg": lambda title, text: {"Title": title, "Description": text, "Date": None, "Creator": None},
    ".pdf": lambda title, text: {"Title": title, "Subject": text, "CreationDate": None},
}
"""For every ending, where the file keeps the title and the text that says what is seen; no dates, nor versions."""


class Drawable(ABC):
    """What has a picture: `draw` makes it, and notebooks show it above the text."""

    __slots__ = ()

    @abstractmethod
    def draw(self, path: Any = None) -> Any:
        """Draw with Matplotlib; save if a path is given, as PNG, SVG or PDF by its ending. Returns the axes."""

    def _repr_svg_(self) -> str | None:
        """The picture; None, so that the text alone is shown, without Matplotlib or where it would be too wide."""
        try:
            axes = self.draw()
        except PictureError:
            return None
        figure = (axes[0] if isinstance(axes, tuple) else axes).figure
        if max(figure.get_size_inches()) > WIDEST:
            return None
        file = StringIO()
        _save(figure, file, ".svg", repr(self), "")
        return file.getvalue()

    def _repr_html_(self) -> str | None:
        """The picture above the text, for notebooks; None as for `_repr_svg_`."""
        svg = self._repr_svg_()
        if svg is None:
            return None
        data = b64encode(svg.encode()).decode()
        picture = f'<img alt="{escape(repr(self))}" style="max-width: 100%" src="data:image/svg+xml;base64,{data}">'
        return f"{picture}<pre>{escape(str(self))}</pre>"


def check_path(path: Any) -> None:
    """Raise `PictureError` for an ending that is none of .png, .svg and .pdf."""
    if path is not None and Path(path).suffix.lower() not in ABOUT:
        known = ", ".join(ABOUT)
        raise PictureError(f"a picture is saved by the ending of its path, one of {known}; got {str(path)!r}")


def new_figure(width: float, height: float, *, layout: Any = "constrained") -> Any:
    """An empty figure of this size in inches, which no global state knows of.

    Raises `PictureError` where Matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError("pictures need Matplotlib: pip install 'tnalgebra[plot]'") from error
    return Figure(figsize=(width, height), layout=layout)


def finish(figure: Any, path: Any, title: str, text: str = "") -> None:
    """Save the figure if a path is given, with its title and a text for those who do not see it.

    Raises `PictureError` for an ending that is none of .png, .svg and .pdf, and where the file cannot be written.
    """
    if path is None:
        return
    check_path(path)
    file = BytesIO()
    _save(figure, file, Path(path).suffix.lower(), title, text)
    try:
        Path(path).write_bytes(file.getvalue())
    except OSError as error:
        raise PictureError(f"cannot write {str(path)!r}: {error}") from error


def _save(figure: Any, file: Any, ending: str, title: str, text: str) -> None:
    """Write the same bytes for the same figure; letters of an SVG stay letters."""
    from matplotlib import rc_context

    dpi = min(DPI, MOST_PIXELS / max(figure.get_size_inches()))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(file, format=ending[1:], dpi=dpi, metadata=ABOUT[ending](title, text))
