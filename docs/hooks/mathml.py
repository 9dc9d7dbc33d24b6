"""Write equations as MathML while the pages are built, so that a browser shows them without any script."""

import html
import re

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

# What pymdownx.arithmatex writes for $...$ and $$...$$ with `generic: true`.
EQUATION = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>',
    re.DOTALL,
)


def on_page_content(content, page, **_):
    """Replace every equation of a page, those of docstrings included."""

    def mathml(match):
        latex = html.unescape(match["latex"]).strip()
        try:
            found = convert(latex, display="block" if match["open"] == "[" else "inline")
        except Exception as error:
            raise PluginError(f"{page.file.src_uri}: cannot write {latex!r} as MathML: {error}") from error
        if "\\" in found:  # a command that is not known is passed on as it stands
            raise PluginError(f"{page.file.src_uri}: {latex!r} has an unknown command")
        return found

    return EQUATION.sub(mathml, content)
