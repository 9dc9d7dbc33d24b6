"""Equations with distinct prime sizes (and some of size 1), shared by every kernel test."""

import numpy as np

import tnalgebra as tna

SIZES = {
    "a": 2,
    "b": 3,
    "c": 5,
    "d": 7,
    "e": 11,
    "i": 2,
    "j": 3,
    "k": 5,
    "l": 7,
    "r": 3,
    "x": 1,
    "y": 1,
    "α": 2,
    "ß": 3,
}

EQUATIONS = (
    # one operand
    "a->a", "a->", "ab->ab", "ab->ba", "ab->a", "ab->b", "ab->", "abc->cab", "abc->b", "abc->ca", "aa->a", "aa->",
    "aba->ab", "aab->b", "abab->ba", "abba->", "axb->ba", "x->x", "x->", "->", "aaa->a",
    # two operands
    "a,a->a", "a,a->", "a,b->ab", "a,b->ba", "a,b->", "a,b->a", "ab,b->a", "ab,bc->ac", "ab,bc->ca", "ab,cb->ac",
    "ba,bc->ac", "ab,ab->", "ab,ba->", "ab,ab->ab", "ab,ba->ab", "abc,bc->a", "abc,cd->abd", "abc,dc->dab",
    "abc,bd->acd", "abc,abd->abcd", "abc,abd->acd", "abd,acd->abc", "cab,acd->bda", "ab,cd->", "ab,cd->ac",
    "abc,b->ac", "a,->a", ",->", "ab,->", ",ab->b", "xa,xb->ab", "xa,ay->xy", "aa,ab->b", "aab,bb->a", "ab,c->ac",
    "abc,cba->", "αß,ßc->αc", "aαb,ßα->ß",
    # three and more
    "a,a,a->a", "a,b,c->abc", "a,b,c->", "ab,bc,cd->ad", "ab,bc,cd->da", "ab,bc,ca->", "ab,ac,ad->bcd",
    "ab,ac,ad->", "a,ab,abc->c", "ab,b,bc->ac", "ab,b,bc->a", "bi,bj,ijk->bk", "ar,br,cr->abc", "ar,br,cr,r->abc",
    "ab,bc,cd,da->", "ab,,bc->ac", "aa,ab,bb->a", "ab,cb,b,xc->ax", "ia,jb,ab->ij", "ab,ab,ab->a",
    "ab,bc,x,xd->adc", "a,a,b,b->",
)  # fmt: skip


def shapes(equation, sizes=SIZES):
    return [tuple(sizes[label] for label in term) for term in equation.split("->")[0].split(",")]


def operands(equation, rng, *, kind="real", sizes=SIZES):
    """Arrays for an equation: real numbers, truth values, or numbers that are not negative."""
    draw = {
        "real": lambda shape: rng.standard_normal(shape),
        "boolean": lambda shape: (rng.random(shape) < 0.6).astype(float),
        "nonnegative": lambda shape: rng.random(shape),
    }[kind]
    return [np.asarray(draw(shape)) for shape in shapes(equation, sizes)]


def relative_error(found, expected):
    """Norm of the difference over norm of the truth; equal infinities differ by nothing."""
    found, expected = np.asarray(found, dtype=complex), np.asarray(expected, dtype=complex)
    assert found.shape == expected.shape
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    difference = np.where(same, 0, found - np.where(same, found, expected))
    return float(np.linalg.norm(difference) / (np.linalg.norm(expected[np.isfinite(expected)]) or 1.0))


LOG2ADDEXP2 = tna.Operator(
    name="log2addexp2", value="maximum(x, y) + log1p(exp(-0.6931471805599453 * abs(x - y))) / 0.6931471805599453",
    unit=-np.inf, generator=("exp(0.6931471805599453 * x)", "log(x) / 0.6931471805599453"),
    is_translative=True, samples=(-2.5, -1.0, 0.0, 0.5, 3.0),
    partial="where(isinf(t), 0, exp(0.6931471805599453 * (x - t)))",
    share="where(isinf(t), 0, exp(0.6931471805599453 * (x - t)))",
)  # fmt: skip
"""An operator of a user's own: logaddexp to the base of 2."""
