"""Figures, diagrams as values, and trees in characters: nothing overlaps, and files are the same bytes."""

import re
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tnalgebra.canvas import Diagram, Edge, Node, Text, check_path, finish, new_figure, outline, render
from tnalgebra.canvas.diagram import subscript
from tnalgebra.canvas.layered import layered
from tnalgebra.errors import PictureError

pytest.importorskip("matplotlib")

SMALL = Diagram("two nodes", (Node(0, 0, text="A"), Node(1, 0, "xi")), (Edge(((0, 0), (1, 0)), "7"),), about="A, ξ")


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".SVG", b"<?xml")]
)
def test_the_ending_of_the_path_says_what_is_saved_and_twice_the_same(tmp_path, ending, start):
    paths = [tmp_path / f"{name}{ending}" for name in "ab"]
    for path in paths:
        render(SMALL, path)
    assert paths[0].read_bytes().startswith(start)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_svg_has_a_title_a_description_and_letters(tmp_path):
    render(SMALL, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "<title>two nodes</title>" in text
    assert "A, ξ" in text
    assert re.findall(r"<text [^>]*>(\w)</text>", text) == ["A", "7"]


@pytest.mark.parametrize("path", ["a.jpg", "a", "a.png.txt"])
def test_another_ending_is_refused_before_anything_is_drawn(path):
    with pytest.raises(PictureError, match=rf"one of \.png, \.svg, \.pdf; got '{re.escape(path)}'"):
        check_path(path)
    with pytest.raises(PictureError, match=r"a picture is saved by the ending of its path"):
        render(SMALL, path)


def test_a_folder_that_is_not_there_is_an_error_of_the_family(tmp_path):
    with pytest.raises(PictureError, match=r"cannot write '.*none.a\.png'"):
        finish(new_figure(1, 1), tmp_path / "none" / "a.png", "title")


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PictureError, match=r"pictures need Matplotlib: pip install 'tnalgebra\[plot\]'"):
        new_figure(1, 1)


def test_a_picture_of_a_kilometre_is_saved_with_fewer_pixels(tmp_path):
    render(Diagram("wide", (Node(0, 0), Node(2000, 0))), tmp_path / "wide.png")
    assert (tmp_path / "wide.png").stat().st_size > 100


# --- values ------------------------------------------------------------------------------------------------------


def test_a_text_on_a_bent_line_stands_at_its_part_of_the_way():
    assert Edge(((0.0, 0.0), (3.0, 0.0), (3.0, 1.0)), at=0.875).middle == (3.0, 0.5)
    assert Edge(((1.0, 1.0), (1.0, 1.0))).middle == (1.0, 1.0)


def test_a_box_covers_nodes_texts_and_lines():
    diagram = Diagram("", (Node(0, 0),), (Edge(((0, 0), (0, -2))),), (Text(1, 0, "n", "right"),))
    left, bottom, right, top = diagram.box
    assert (left, bottom, top) == (-0.15, -2, 0.15)
    assert right > 1


def test_numbers_go_to_the_nodes_of_their_keys():
    numbered = Diagram("", (Node(0, 0, key="A"), Node(1, 0, key="B"))).numbered({"B": 2})
    assert [node.badge for node in numbered.nodes] == ["", "2"]


def test_subscripts():
    assert subscript("n", 102) == "n₁₀₂"


# --- rows for every depth ----------------------------------------------------------------------------------------


@st.composite
def graphs(draw):
    """Links from nodes to later ones; every node but the last has one."""
    count = draw(st.integers(1, 9))
    links = [(i, draw(st.integers(i + 1, count - 1))) for i in range(count - 1)]
    more = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=8))
    return [draw(st.sampled_from([0.1, 0.3, 1.7])) for _ in range(count)], list(
        dict.fromkeys(links + [(a, b) for a, b in more if a < b])
    )


@given(graphs())
def test_nodes_stand_below_those_that_read_them_and_apart_from_their_neighbours(graph):
    widths, links = graph
    points, routes, places = layered(widths, links, [0.2] * len(links))
    assert all(0 < place < 1 for place in places)
    assert points[-1] == (0, 0)
    for (start, end), route in zip(links, routes, strict=True):
        assert (route[0], route[-1]) == (points[start], points[end])
        assert all(a[1] < b[1] for a, b in pairwise(route))
    for i, (x, y) in enumerate(points):
        for j, (other, height) in enumerate(points[:i]):
            if y == height:
                assert abs(x - other) > (widths[i] + widths[j]) / 2


def test_a_tree_needs_no_crossing():
    links = [(0, 4), (2, 5), (1, 4), (3, 5), (4, 6), (5, 6)]
    points, _, _ = layered([0.3] * 7, links, [0.1] * 6)
    assert points[0][0] < points[1][0] < points[2][0] < points[3][0]


# --- characters --------------------------------------------------------------------------------------------------


def test_an_outline_of_ten_thousand_nodes_needs_no_recursion():
    text = outline(0, lambda n: [n + 1] if n < 10_000 else [], str)
    assert len(text.splitlines()) == 10_001
    assert outline("a", lambda node: ["b", "b"] if node == "a" else [], str) == "a\n├─ b\n└─ b"
