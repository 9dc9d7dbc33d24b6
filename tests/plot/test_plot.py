"""Everything draws itself: as a diagram without overlaps, in characters, in notebooks; charts take what may come."""

import re
import sys
from base64 import b64decode
from html import escape
from itertools import combinations

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra import plot
from tnalgebra.canvas import SERIES
from tnalgebra.errors import DataError, FormatError, NonFiniteError, PictureError
from tnalgebra.plot.boundary import TWO
from tnalgebra.training import Epoch, History

pytest.importorskip("matplotlib")

CP, TT, HT, Tree = tna.CPTensor, tna.TTTensor, tna.HTTensor, tna.DimensionTree
WIDE = Tree(((0, 1, 2), (3, 4)))


def leaves(**labels):
    return [tna.leaf(name, text) for name, text in labels.items()]


def shared():
    """Σ_j logaddexp(h, h, C) with h = Σ_r hypot(A, B)."""
    h = tna.contract("ir,jr->ij", *leaves(A="ir", B="jr"), xi="hypot")
    return tna.contract("ij,kj,jl->ikl", h, h, tna.leaf("C", "jl"), xi="logaddexp")


def network(kind, xi, steps, **options):
    return kind.random(steps=steps, inputs=2, features=3, rank=5, classes=2, xi=xi, seed=0, **options)


FORMATS = {
    f"{kind.__name__}-{xi}-{len(shape)}": kind.random(
        shape, () if kind is TT and len(shape) == 1 else rank, xi=xi, seed=0
    )
    for kind in (CP, TT, HT)
    for xi in ("multiply", "rectifier")
    for shape, rank in [((3,), 1), ((2, 10_000), 2), ((3, 1, 5, 7), 11), ((2,) * 20, 3)]
}
FORMATS |= {
    "HT-wide": HT.random((2, 3, 5, 7, 11), 3, tree=WIDE, xi="hypot"),
    "HT-line": HT.random((2,) * 7, 3, tree=Tree.linear(7)),
}
TREES = {"tree-1": Tree.balanced(1), "tree-5": WIDE, "tree-64": Tree.balanced(64)}
KINDS = (tna.ShallowNetwork, tna.RecurrentNetwork, tna.HierarchicalNetwork)
NETWORKS = {
    f"{kind.__name__}-{xi}-{steps}": network(kind, xi, steps)
    for kind in KINDS
    for xi in ("multiply", "hypot")
    for steps in (1, 4, 11)
}
NETWORKS |= {f"{kind.__name__}-classes": network(kind, "hypot", 3, shared=False) for kind in KINDS}
NETWORKS |= {"wide": tna.ShallowNetwork.random(steps=9, inputs=2, features=3, rank=10_000, classes=2, seed=0)}
NETWORKS |= {"equal": network(tna.RecurrentNetwork, "rectifier", None)}
EXPRESSIONS = {
    "leaf": tna.leaf("A", "ij"),
    "number": tna.contract("i,i->", *leaves(a="i", b="i")),
    "chain": tna.contract("ij,jk,kl->il", *leaves(A="ij", B="jk", C="kl")),
    "batch": tna.contract("bij,bjk,bkl->bil", *leaves(A="bij", B="bjk", C="bkl")),
    "ring": tna.contract("bij,bjk,bki->b", *leaves(A="bij", B="bjk", C="bki")),
    "two batches": tna.contract("abi,abj,abk,ijk->ab", *leaves(A="abi", B="abj", C="abk", D="ijk")),
    "crossing": tna.contract("abc,cde,efa,bdfx->x", *leaves(A="abc", B="cde", C="efa", D="bdfx")),
    "diagonal": tna.contract("iij,jk->ik", *leaves(A="iij", weights="jk")),
    "trace": tna.contract("ii->", *leaves(A="ii")),
    "twice": tna.contract("ij,ik->jk", tna.leaf("A", "ij"), tna.leaf("A", "ij")),
    "tree": HT.random((2, 3, 5, 7), 3, seed=0).expression(),
    "cores": TT.random((2, 3, 5, 7), 3, seed=0).expression(),
    "shared": shared(),
    "gradient": shared().gradients("A", seed="G")["A"],
    "slice": shared()[:, 2],
    "recurrent": network(tna.RecurrentNetwork, "rectifier", 3).expression(),
    "scores": network(tna.HierarchicalNetwork, "hypot", 4).expression(np.ones((7, 4, 2))),
}
PLANS = {
    "none": tna.leaf("A", "ij").plan(A=(2, 3)),
    "one": tna.contract_path("ij,jk->ik", (3, 4), (4, 5)),
    "three": tna.contract_path("ij,jk,kl,lm->im", (3, 4), (4, 5), (5, 6), (6, 7)),
    "not linear": tna.contract_path("ij,jk,kl->il", (3, 4), (4, 5), (5, 6), xi="logaddexp"),
    "slices": tna.contract_path("ij,jk,kl->il", (30, 40), (40, 50), (50, 60), xi="hypot", memory_limit=2**15),
    "network": EXPRESSIONS["scores"].plan(),
    "gradient": EXPRESSIONS["gradient"].plan(A=(3, 4), B=(5, 4), C=(5, 2), G=(3, 3, 2)),
}
DIAGRAMS = {**FORMATS, **TREES, **NETWORKS, **EXPRESSIONS, **{f"plan {name}": plan for name, plan in PLANS.items()}}


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def overlaps(axes):
    """Pairs of texts that cover one another, and texts that leave the picture, as Matplotlib sets them."""
    figure = axes.figure
    renderer = figure.canvas.get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in axes.texts]
    crossed = [
        (a, b) for (a, one), (b, other) in combinations(boxes, 2)
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    ]  # fmt: skip
    return crossed + [
        text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.bbox.x1 or box.y1 > figure.bbox.y1
    ]


@pytest.mark.parametrize("name", DIAGRAMS)
def test_no_text_covers_another_or_leaves_the_picture(name):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    axes = DIAGRAMS[name].draw()
    FigureCanvasAgg(axes.figure)
    assert overlaps(axes) == []


@pytest.mark.parametrize("name", DIAGRAMS)
def test_no_text_covers_a_node_of_another_place(name):
    diagram = DIAGRAMS[name].diagram()
    for text in diagram.labels:
        for node in diagram.nodes:
            (a, b, c, d), (left, bottom, right, top) = text.box, node.box
            assert min(c, right) - max(a, left) < 0.01 or min(d, top) - max(b, bottom) < 0.01, (text, node)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_what_draws_itself_is_shown_in_notebooks_and_in_characters(name):
    thing = DIAGRAMS[name]
    assert thing.show()
    picture, text = re.fullmatch(r"<img (.*)>(<pre>.*</pre>)", thing._repr_html_(), re.DOTALL).groups()
    assert picture.startswith(f'alt="{escape(repr(thing))}"')
    assert b64decode(picture.split("base64,")[1].rstrip('"')).startswith(b"<?xml")
    assert text == f"<pre>{escape(str(thing))}</pre>"


@pytest.mark.parametrize("kind", [CP, TT, HT])
def test_sixty_four_modes_are_drawn(kind, tmp_path):
    tensor = kind.random((2,) * 64, 3, seed=0)
    tensor.draw(tmp_path / "a.png")
    nodes = tensor.diagram().nodes
    assert sum(node.key.startswith(("factor", "core", "leaf")) for node in nodes) == 64


# --- what is drawn -----------------------------------------------------------------------------------------------


def test_ranks_stand_on_lines_and_sizes_at_free_ends():
    tensor = TT.random((3, 5, 7), (2, 11), seed=0)
    assert [edge.text for edge in tensor.diagram().edges if edge.text] == ["2", "11"]
    assert [text.text for text in tensor.diagram().texts] == ["n₀ = 3", "n₁ = 5", "n₂ = 7"]
    tree = HT.random((2, 3, 5, 7, 11), (2, 3, 4, 5, 6, 7, 8), tree=WIDE, seed=0)
    assert sorted(edge.text for edge in tree.diagram().edges if edge.text) == list("2345678")


def test_what_is_not_linear_differs_in_shape_and_colour():
    multiply, other = (CP.random((2, 3), 4, xi=xi).diagram() for xi in ("multiply", "hypot"))
    assert [node.role for node in multiply.nodes] == ["tensor"] * 3 + ["dot"]
    assert [node.role for node in other.nodes] == ["tensor"] * 3 + ["xi"]
    assert other.legend == {"tensor": "linear", "xi": "ξ = hypot"}
    patches = [type(patch).__name__ for patch in CP.random((2, 3), 4, xi="hypot").draw().patches]
    assert patches[:4] == ["Circle"] * 3 + ["Polygon"]


def test_a_shared_node_is_drawn_once_and_its_two_uses_share_a_line():
    diagram = shared().diagram()
    assert [node.text for node in diagram.nodes] == ["A", "B", "Σ_r hypot", "C", "Σ_j logaddexp"]
    assert [edge.text for edge in diagram.edges if edge.text] == ["ir", "jr", "ij; kj", "jl"]


def test_a_label_of_three_operands_meets_in_a_dot():
    diagram = EXPRESSIONS["batch"].diagram()
    assert [node.role for node in diagram.nodes] == ["tensor"] * 3 + ["dot"]
    assert [edge.text for edge in diagram.edges if edge.text] == ["j", "k"]
    assert sorted(text.text for text in diagram.texts) == ["b", "i", "l"]


def test_known_sizes_are_shown():
    A, B = np.ones((2, 3)), np.ones((3, 10_000))
    assert "j = 3" in texts_of(tna.contract("ij,jk->ik", tna.leaf("A", "ij"), B).draw())
    assert "ij: 2×3" in texts_of(tna.contract("ij,jk->ik", A, tna.leaf("B", "jk"), xi="hypot").draw())


def test_a_plan_numbers_what_it_reads_first():
    a, b, c = leaves(A="ij", B="jk", C="kl")
    e = tna.contract("ij,jk,kl->il", a, b, c)
    plan = e.plan(A=(3, 4), B=(4, 5), C=(5, 6))
    assert plan.first_reads() == {"A": 1, "B": 1, "C": 2}
    shown = texts_of(plot.network(e, plan=plan))
    assert sorted(text for text in shown if text.isdigit()) == ["1", "1", "2"]
    assert "i = 3" in shown
    tensor = TT.random((2, 3, 5), 4, seed=0)
    badges = [node.badge for node in tensor.diagram().numbered(tensor.expression().plan().first_reads()).nodes]
    assert sorted(badges) == sorted(str(n) for n in tensor.expression().plan().first_reads().values())


def test_a_contraction_tree_has_the_cost_of_each_step():
    plan = PLANS["three"]
    shown = texts_of(plot.contraction_tree(plan))
    for number, step in enumerate(plan.steps, 1):
        share = f"{100 * step.flops / plan.flops:.0f}"
        assert f"{number}. {step.equation}\nproduct: {step.flops} ({share} %)" in shown


def test_a_plan_without_arithmetic_is_drawn():
    assert texts_of(PLANS["none"].draw())[:2] == ["A", "1. 01->01\nview: no arithmetic"]


def test_only_what_has_a_network_is_drawn_as_one():
    with pytest.raises(PictureError, match=r"network draws formats, trees, networks and expressions; got ndarray"):
        plot.network(np.ones((2, 3)))


def test_only_plans_have_contraction_trees_and_only_trainings_a_history():
    with pytest.raises(
        PictureError, match=r"a contraction tree is that of a Plan; got Expression: expressions have \.plan"
    ):
        plot.contraction_tree(shared())
    with pytest.raises(PictureError, match=r"what fit returns has a history, or is one; got int"):
        plot.history(3)


def test_without_matplotlib_notebooks_show_the_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert FORMATS["TTTensor-multiply-4"]._repr_svg_() is None
    assert FORMATS["TTTensor-multiply-4"]._repr_html_() is None
    with pytest.raises(PictureError, match=r"pictures need Matplotlib"):
        FORMATS["TTTensor-multiply-4"].draw()


def test_what_is_too_wide_for_a_notebook_is_shown_as_text():
    assert HT.random((2,) * 128, 2, seed=0)._repr_svg_() is None


# --- charts ------------------------------------------------------------------------------------------------------

HILBERT = 1 / (1 + np.add.outer(np.add.outer(np.arange(4.0), np.arange(5)), np.arange(3)))


@pytest.mark.parametrize("kind", [TT, HT])
def test_singular_values_are_cut_where_the_decomposition_cut_them(kind, tmp_path):
    small = kind.from_dense(HILBERT, eps=1e-2)
    axes = plot.singular_values(HILBERT, tmp_path / "a.svg", truncated=small)
    ranks = small.ranks[1:-1] if kind is TT else small.ranks[:-1]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [int(re.search(r": (\d+) of", label)[1]) for label in labels] == list(ranks)
    assert [label.split(":")[0] for label in labels] == list(small.truncation.discarded)
    assert all("lost" in label for label in labels)


def test_singular_values_of_all_that_has_them():
    estimate = tna.matricization_rank(HILBERT, [0, 1])
    for x in (
        HILBERT,
        TT.from_dense(HILBERT, eps=0),
        estimate,
        {"a": estimate, "b": estimate},
        tna.compare_ranks(np.ones((2, 3))),
    ):
        assert plot.singular_values(x).get_yscale() == "log"
    assert estimate.draw().get_legend().get_texts()[0].get_text().startswith(f"{estimate.rank} of 3, tol")
    plot.singular_values(np.zeros((2, 3)))
    plot.singular_values(np.ones(3))
    with pytest.raises(PictureError, match=r"bonds are cut in a TTTensor or an HTTensor; a CPTensor has none"):
        plot.singular_values(HILBERT, truncated=CP.random((4, 5, 3), 2, seed=0))
    with pytest.raises(PictureError, match=r"`truncated` has shape \(2, 2\), but x has \(.*\): it is made from x"):
        plot.singular_values(HILBERT, truncated=TT.random((2, 2), 1, seed=0))


def test_rank_reports_are_drawn_of_reports_and_of_arrays(tmp_path):
    x = np.ones((2, 3, 4))
    report = tna.compare_ranks(x, eps=1e-3)
    left, right = plot.ranks(report, tmp_path / "a.png")
    assert left.figure is right.figure
    assert plot.ranks(x, eps=1e-3)[1].get_title() == right.get_title() == "Parameters at relative error 0.001"
    assert report._repr_svg_()


def test_heat_maps_of_all_kinds_of_entries(tmp_path):
    x = np.arange(24.0).reshape(2, 3, 4)
    axes = plot.matricization(x, [2, 0], path=tmp_path / "a.png")
    assert np.array_equal(axes.images[0].get_array(), x.transpose(2, 0, 1).reshape(8, 3))
    assert axes.images[0].get_cmap().name == "viridis"
    signs = plot.matricization(x - 3, 1).images[0]
    assert signs.get_clim() == (-20, 20)
    x[0, 0, 0], x[1, 2, 3] = np.nan, np.inf
    assert plot.matricization(x, 0).get_xlabel() == "column; hatched: 2 not finite"
    assert plot.matricization(np.full((2, 3), np.nan), 0).get_xlabel() == "column; hatched: 6 not finite"
    entries = plot.matricization(np.array([[3 + 4j, 0]]), 0).images[0]
    assert np.array_equal(entries.get_array(), [[5, 0]])
    assert plot.matricization(TT.random((2, 1, 5), 1, seed=0), [0, 1]).get_title() == "rows 0 1, columns 2: 2 × 5"
    assert plot.matricization(np.ones(3, bool), []).get_title() == "rows none, columns 0: 1 × 3"


def test_a_heat_map_says_what_it_cannot_show():
    with pytest.raises(
        FormatError, match=re.escape("rows [0] and cols [0] must share out the modes 0, …, 1, each once")
    ):
        plot.matricization(np.ones((2, 3)), 0, [0])
    with pytest.raises(FormatError, match=re.escape("an array of shape (2, 0, 3): no mode may have size 0")):
        plot.matricization(np.ones((2, 0, 3)), 0)
    with pytest.raises(PictureError, match=r"has 33554432 entries, and a picture at most 16777216: take a slice"):
        plot.matricization(TT.random((2,) * 25, 1, seed=0), 0)


def test_boundaries_of_two_classes_and_of_more(rng, tmp_path):
    X = rng.standard_normal((30, 2))
    y = (X[:, 0] > 0).astype(int)
    axes = plot.decision_boundary(
        lambda points: np.stack([-points[:, 0], points[:, 0]], 1), X, y, tmp_path / "a.png", resolution=21
    )
    percent = axes.images[0].get_array()
    assert percent.shape == (21, 21)
    assert np.all(np.diff(percent, axis=1) > 0)
    three = plot.decision_boundary(
        lambda points: np.stack([points[:, 0], points[:, 1], -points.sum(1)], 1), X, np.arange(30) % 3, resolution=9
    )
    markers = [path.get_paths()[0].vertices.tolist() for path in three.collections[-3:]]
    assert all(a != b for a, b in combinations(markers, 2))
    assert three.images[0].get_array().max() == 2


def test_a_boundary_of_an_estimator_and_of_a_model():
    class Certain:
        classes_ = ("no", "yes")

        def predict_proba(self, points):
            return np.tile([0.0, 1.0], (len(points), 1))

    X = np.array([[0.0, 1.0], [0.0, 2.0]])
    assert plot.decision_boundary(Certain(), X, ["no", "yes"], resolution=3).images[0].get_array().min() == 100
    model, history = tna.training.train_model(
        tna.load_data("moons", train=20, test=10), "tt", rank=2, features=3, epochs=1, progress=False
    )
    assert plot.decision_boundary(model, X, [0, 1], resolution=3).images
    assert plot.history(history)[0].get_ylabel() == "loss"


def test_points_have_the_colour_of_their_class_whichever_others_are_there():
    from matplotlib.colors import to_rgb

    class Sure:
        classes_ = np.array(["maybe", "no", "yes"])

        def predict_proba(self, points):
            return np.tile([0.0, 0.0, 1.0], (len(points), 1))

    def colour(model, y):
        axes = plot.decision_boundary(model, np.eye(2), y, resolution=3)
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        return names, axes.collections[-1].get_facecolors()[0].tolist()

    rgba = [[*to_rgb(colour), 1.0] for colour in SERIES]
    assert colour(Sure(), ["yes", "yes"]) == (["yes"], rgba[2])
    assert colour(Sure(), ["maybe", "yes"]) == (["maybe", "yes"], rgba[2])
    assert colour(lambda points: np.ones((len(points), 4)), [3, 3]) == (["3"], rgba[3])
    model, _ = tna.training.train_model(tna.load_data("moons", train=20, test=10), "tt", rank=2, features=3, epochs=1)
    assert colour(model, [1, 1]) == (["1"], [*to_rgb(TWO[1]), 1.0])
    with pytest.raises(DataError, match=re.escape("y has the labels ['none'], which are none of the classes ['maybe'")):
        colour(Sure(), ["none", "yes"])
    for y, shown in (([0, 2], "[0, 2]"), ([-1, 1], "[-1, 1]"), (["a", "b"], "['a', 'b']")):
        with pytest.raises(DataError, match=re.escape(f"from 0 to 1 that number the 2 scores; got {shown}")):
            colour(lambda points: points, y)


def test_what_is_no_point_in_the_plane_is_refused():
    with pytest.raises(
        DataError, match=re.escape("points X in the plane are (n, 2), their labels y (n,); got shapes (4, 3) and (5,)")
    ):
        plot.decision_boundary(None, np.ones((4, 3)), np.ones(5))
    with pytest.raises(NonFiniteError, match="X has 1 entries that are NaN or infinite; drop them"):
        plot.decision_boundary(lambda points: points, np.array([[0.0, np.nan], [1.0, 1.0]]), [0, 1])
    with pytest.raises(DataError, match="points X in the plane are real numbers; got <U1"):
        plot.decision_boundary(lambda points: points, [["a", "b"]], [0])
    with pytest.raises(DataError, match="int scores no points: it has no predict_proba"):
        plot.decision_boundary(3, np.ones((4, 2)), np.ones(4))
    with pytest.raises(DataError, match="resolution must be 2 or more; got 1"):
        plot.decision_boundary(None, np.ones((4, 2)), np.ones(4), resolution=1)
    with pytest.raises(DataError, match=re.escape("scores of 9 points must be (9, classes); got shape (9,)")):
        plot.decision_boundary(lambda points: points[:, 0], np.ones((4, 2)), np.ones(4), resolution=3)


def test_histories_of_no_epochs_and_of_losses_below_zero_are_drawn():
    assert [axes.get_ylabel() for axes in History().draw()] == ["loss", "accuracy"]
    loss, accuracy = History((Epoch(1, 5, -0.5, None, -0.25, None, 1.0, 0.1, 1.0),)).draw()
    assert loss.get_yscale() == "linear"
    assert len(loss.lines) == 2
    assert not accuracy.lines


def test_distributions_count_every_network():
    bars, steps = plot.lower_bounds({"R = 1": [1, 1, 2], "R = 2": [3.0]})
    assert sum(bar.get_height() for bar in bars.containers[0]) == pytest.approx(1)
    assert [text.get_text() for text in steps.get_legend().get_texts()] == ["R = 1", "R = 2"]
    plot.lower_bounds({"zero": [0, 0]})
    with pytest.raises(DataError, match=re.escape("are needed in every set; none in ['R = 2']")):
        plot.lower_bounds({"R = 1": [1], "R = 2": []})
    with pytest.raises(DataError, match="are needed in every set; none in all"):
        plot.lower_bounds({})


def test_charts_go_into_figures_of_ones_own():
    from matplotlib.figure import Figure

    one, two = Figure().subplots(1, 2)
    assert plot.matricization(HILBERT, 0, axes=one) is one
    assert plot.singular_values(HILBERT, axes=two) is two
