"""Docstrings as Markdown: examples in fences, and one list item for each ``name: text`` line."""

import re

import griffe

EXAMPLE = re.compile(r"(?:^>>> .*\n?)(?:^(?!\s*$).*\n?)*", re.MULTILINE)
# "xi, reduce: names of ...", "(a): ..." does not count, nor does "Source: ...".
FIELD = re.compile(r"^(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*): ", re.MULTILINE)
PARAGRAPH = re.compile(r"^(?=(?:Raises|Source:|Returns|The result|See) ?)", re.MULTILINE)


def as_markdown(text):
    """Return the docstring with fences, lists and paragraphs where a reader sees them."""
    parts, end = [], 0
    for example in EXAMPLE.finditer(text):
        parts += [_prose(text[end : example.start()]), f"\n```pycon\n{example[0].rstrip()}\n```\n"]
        end = example.end()
    return "".join([*parts, _prose(text[end:])])


def _prose(text):
    text = PARAGRAPH.sub("\n", text)
    first = True

    def item(match):
        nonlocal first
        start, first = ("\n- " if first else "- "), False
        return f"{start}**{match['names']}**: "

    return FIELD.sub(item, text)


class Docstrings(griffe.Extension):
    """Rewrite every docstring that mkdocstrings collects."""

    def on_instance(self, *, obj, **_):
        """Rewrite one docstring, once."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
