"""One `Contract` to steps: pairs on the path where sums may move, one blocked step where they may not."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress, takewhile
from math import prod

from ..algebra import Operator, Pointwise, distributes
from ..graph import Contract, Labels
from .cost import TILE, layout
from .legality import is_separable
from .paths import Optimizer, find_path
from .pieces import pieces
from .step import Step, Tree, union, volume

__all__ = ["Region", "Term", "Tile", "make_tile"]

NEAR, FAR = 3, 8
"""Multiplications of a matrix product in the time in which one entry is read from the cache, and from memory."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A ξ-product without sums that is never formed whole: its tree and its own terms."""

    tree: Tree
    terms: tuple["Term", ...]


@dataclass(frozen=True, slots=True)
class Term:
    """An operand of a region: its labels, and the slot that holds it or the tile that makes it."""

    labels: Labels
    source: int | Tile

    @property
    def slot(self) -> int:
        """The slot of an operand that has one."""
        assert isinstance(self.source, int)
        return self.source

    @property
    def parts(self) -> tuple["Term", ...]:
        """The operands that stand in slots."""
        return self.source.terms if isinstance(self.source, Tile) else (self,)


def make_tile(node: Contract, terms: Sequence[Term]) -> Term:
    """The ξ-product of the terms, as a term that is never formed whole."""
    trees: list[Tree] = []
    parts: list[Term] = []
    for term in terms:
        trees.append(_shift(term.source.tree, len(parts)) if isinstance(term.source, Tile) else len(parts))
        parts.extend(term.parts)
    return Term(union(*(term.labels for term in terms)), Tile((node.xi, tuple(trees)), tuple(parts)))


class Region:
    """Plan one node over given terms; slots of new values come from `slots`."""

    def __init__(
        self, node: Contract, sizes: dict[str, int], optimize: Optimizer, slots: Iterator[int], nonnegative: bool
    ) -> None:
        self.node, self.sizes, self.optimize, self.slots = node, sizes, optimize, slots
        self.is_pointwise = isinstance(node.xi, Pointwise)
        self.is_free = isinstance(node.xi, Operator) and (
            not node.summed or distributes(node.xi, node.reduce, nonnegative=nonnegative)
        )
        self.is_product = node.xi.name == "multiply" and node.reduce.name == "add"
        self.steps: list[Step] = []

    def plan(self, terms: Sequence[Term]) -> list[Step]:
        """Return the steps of the region; the last one gives its value."""
        if 0 in self.sizes.values():  # ⊕ over nothing is its unit, which need not pass through ξ
            self._blocked(terms, self.node.output)
        elif len(terms) == 1 and isinstance(terms[0].source, int) and not self.is_pointwise:
            self._unary(terms[0], self.node.output, "copy")
        elif is_separable(self.node) and not self.is_free:
            self._separate(terms)
        elif not self.is_free or self.optimize is False:
            self._blocked(terms, self.node.output)
        else:
            self._pairs(terms)
        return self.steps

    def _emit(self, kind: str, terms: Sequence[Term], result: Labels, tree: Tree | None = None, text: str = "") -> Term:
        inputs = tuple(term.slot for term in terms)
        labels = tuple(term.labels for term in terms)
        sizes = {label: self.sizes[label] for label in union(*labels)}
        step = Step(kind, inputs, next(self.slots), labels, result, sizes, tree, self.node.reduce, text)
        self.steps.append(step)
        return Term(result, step.output)

    def _unary(self, term: Term, result: Labels, text: str = "") -> Term:
        """⊕ over what is not in the result, then the order of the result."""
        gone = [label for label in term.labels if label not in result]
        if gone and not (self.is_product and volume(tuple(gone), self.sizes) == 1):  # a sum of one number is the number
            if self.node.reduce.reduction in (None, "logsumexp"):
                return self._emit("blocked", [term], result, tree=0)
            return self._emit("reduce", [term], result)
        return self._emit("view", [term], result, text=text)

    def _pairs(self, operands: Sequence[Term]) -> None:
        """Follow the path; a label is summed as soon as no other operand needs it."""
        wanted = Counter(chain(self.node.output, *(term.labels for term in operands)))
        shared = {label for label, count in wanted.items() if count > 1}
        terms = [term if isinstance(term.source, Tile) else self._kept(term, shared) for term in operands]
        for picked in find_path([term.labels for term in terms], self.node.output, self.sizes, self.optimize):
            chosen = [terms[i] for i in picked]
            for i in sorted(picked, reverse=True):
                del terms[i]
            wanted.subtract(chain(*(term.labels for term in chosen)))
            result = tuple(label for label in union(*(term.labels for term in chosen)) if wanted[label])
            terms.append(self._pair(chosen, result if terms else self.node.output, is_last=not terms))
            wanted.update(terms[-1].labels)

    def _pair(self, chosen: list[Term], result: Labels, is_last: bool) -> Term:
        tiles = [term for term in chosen if isinstance(term.source, Tile)]
        if not self.is_product or len(chosen) != 2 or len(tiles) > 1:
            return self._blocked(chosen, result)
        if tiles:
            return self._weighted(tiles[0], next(term for term in chosen if term is not tiles[0]), result)
        if set(chosen[0].labels) & set(chosen[1].labels) <= set(result):
            return self._emit("product", chosen, result)
        left, right = chosen = self._turned(self._stretched(chosen, result), result)
        if not is_last:
            return self._emit("product", chosen, layout(left.labels, right.labels, result, self.sizes).result)
        is_swapped = layout(right.labels, left.labels, result, self.sizes).result == result
        return self._emit("product", chosen[::-1] if is_swapped else chosen, result)

    def _stretched(self, chosen: list[Term], result: Labels) -> list[Term]:
        """The operands, an entrywise product among them in the order that saves copies here and has long rows."""
        for term in list(chosen):
            step = self._product(term)
            if step and not step.summed and step.result:
                (other,) = (one for one in chosen if one is not term)
                groups = layout(term.labels, other.labels, result, self.sizes)
                inner = tuple(label for label in other.labels if label in groups.inner)
                orders = [
                    term.labels,
                    *((*groups.batch, *groups.rows, *labels) for labels in (groups.inner, inner)),
                    *((*groups.batch, *labels, *groups.rows) for labels in (groups.inner, inner)),
                ]
                turned = [[Term(order, one.source) if one is term else one for one in chosen] for order in orders]
                costs = [
                    (self._copied(terms, result), -_row(order, step.terms, self.sizes))
                    for terms, order in zip(turned, orders, strict=True)
                ]
                best = costs.index(min(costs))
                self.steps[self._place(term)] = replace(step, result=orders[best])
                chosen = turned[best]
        return chosen

    def _turned(self, chosen: list[Term], result: Labels) -> list[Term]:
        """The operands, a matrix product among them with its own two exchanged where that saves a copy of it here."""
        for term in list(chosen):
            step = self._product(term) if self._copied(chosen, result) else None
            if step and step.summed:
                first, second = step.terms[::-1]
                labels = layout(first, second, step.result, self.sizes).result
                others = [Term(labels, term.source) if other is term else other for other in chosen]
                if self._copied(others, result) < self._copied(chosen, result):
                    turned = replace(step, inputs=step.inputs[::-1], terms=(first, second), result=labels)
                    self.steps[self._place(term)] = turned
                    chosen = others
        return chosen

    def _product(self, term: Term) -> Step | None:
        """The step that gives a term, if it is a product."""
        place = self._place(term)
        return self.steps[place] if place >= 0 and self.steps[place].kind == "product" else None

    def _place(self, term: Term) -> int:
        """Which step gives a term; below 0 where none does."""
        return term.slot - self.steps[0].output if self.steps else -1

    def _copied(self, terms: Sequence[Term], result: Labels) -> int:
        """The entries that are copied before BLAS multiplies two terms."""
        left, right = (term.labels for term in terms)
        sizes = (volume(left, self.sizes), volume(right, self.sizes))
        return sum(compress(sizes, layout(left, right, result, self.sizes).copies))

    def _weighted(self, tile: Term, weight: Term, result: Labels) -> Term:
        tree, parts = self._tree([tile])
        if self._is_sum(tree) and self._pays(parts, weight, result):
            return self._weighted_sum(parts, weight, result)
        labels = [term.labels for term in (*parts, weight)]
        kind = "pieces" if pieces(tree, labels, result, self.sizes) else "weighted"
        return self._emit(kind, [*parts, weight], result, tree=tree)

    def _is_sum(self, tree: Tree) -> bool:
        """Whether ξ is ⊕ itself, over which the product with a weight distributes."""
        return isinstance(tree, int) or (tree[0] == self.node.reduce and all(map(self._is_sum, tree[1])))

    def _pays(self, parts: Sequence[Term], weight: Term, result: Labels) -> bool:
        """Whether sums of the weight, products with the parts, and their sum are less work than one product."""
        everything = union(*(part.labels for part in parts))
        apart = 0
        for part in parts:
            kept = tuple(label for label in weight.labels if label in (*part.labels, *result))
            apart += volume(union(part.labels, kept), self.sizes) + self._passes(result)
            apart += self._passes(weight.labels) if kept != weight.labels else 0
        whole = volume(union(weight.labels, everything), self.sizes)
        return apart < whole + self._passes(weight.labels) + self._passes(everything)

    def _passes(self, labels: Labels) -> int:
        """The multiplications of a matrix product that take as long as to read an array once."""
        entries = volume(labels, self.sizes)
        return entries * (NEAR if entries <= TILE else FAR)

    def _weighted_sum(self, parts: Sequence[Term], weight: Term, result: Labels) -> Term:
        """Σ W · (a + b) = Σ W · a + Σ W · b: what a part lacks, W is summed over, and what W lacks too, counted."""
        found = []
        for part in parts:
            pair = [self._kept(part, (*weight.labels, *result)), self._kept(weight, (*part.labels, *result))]
            kept = tuple(label for label in result if label in part.labels or label in weight.labels)
            lacks = {
                label: self.sizes[label]
                for label in union(*(term.labels for term in parts))
                if label not in (*part.labels, *weight.labels, *result)
            }
            product = self._pair(pair, kept, is_last=False)
            found.append(self._repeated(product, lacks) if prod(lacks.values()) > 1 else product)
        return self._emit("blocked", found, result, tree=(self.node.reduce, tuple(range(len(found)))), text="apart")

    def _kept(self, term: Term, labels: Container[str]) -> Term:
        """The term, reduced over what is not among the labels."""
        kept = tuple(label for label in term.labels if label in labels)
        return term if kept == term.labels else self._unary(term, kept)

    def _blocked(self, terms: Sequence[Term], result: Labels) -> Term:
        tree, parts = self._tree(terms)
        return self._emit("blocked", parts, result, tree=tree)

    def _tree(self, terms: Sequence[Term]) -> tuple[Tree, list[Term]]:
        """The cheapest order in which ξ can pair all terms, no label summed; tiles keep their own tree inside."""
        nodes: list[tuple[Tree, Labels]] = []
        parts: list[Term] = []
        for term in terms:
            tree = term.source.tree if isinstance(term.source, Tile) else 0
            nodes.append((_shift(tree, len(parts)), term.labels))
            parts.extend(term.parts)
        if self.is_pointwise:
            return (self.node.xi, tuple(tree for tree, _ in nodes)), parts
        everything = union(*(labels for _, labels in nodes))
        optimize = self.optimize if len(terms) == len(self.node.operands) else "auto"  # a path given is for all of them
        for picked in find_path([labels for _, labels in nodes], everything, self.sizes, optimize):
            if len(picked) == 1:
                continue
            chosen = [nodes[i] for i in picked]
            nodes = [node for i, node in enumerate(nodes) if i not in picked]
            nodes.append(((self.node.xi, tuple(tree for tree, _ in chosen)), union(*(labels for _, labels in chosen))))
        return nodes[0][0], parts

    def _separate(self, terms: Sequence[Term]) -> Term:
        """⊕ over ξ(a, b) where ⊕ is ξ: reduce each operand, repeat it for the labels it lacks, combine."""
        if any(isinstance(term.source, Tile) for term in terms):
            return self._blocked(terms, self.node.output)
        combined: list[Term] = []
        for term in terms:
            kept = tuple(label for label in term.labels if label in self.node.output)
            part = self._unary(term, kept) if kept != term.labels else term
            lacks = {label: self.sizes[label] for label in self.node.summed if label not in term.labels}
            combined.append(self._repeated(part, lacks) if prod(lacks.values()) > 1 else part)
        return self._blocked(combined, self.node.output)

    def _repeated(self, term: Term, lacks: dict[str, int]) -> Term:
        """The n-fold value, n the number of entries over the labels that the term lacks; the step keeps their sizes."""
        repeated = self._emit("map", [term], term.labels, text="repeat")
        self.steps[-1] = replace(self.steps[-1], sizes={**self.steps[-1].sizes, **lacks})
        return repeated


def _row(labels: Labels, terms: Sequence[Labels], sizes: dict[str, int]) -> int:
    """Entries that follow each other and of which each operand has either all or one."""
    having = [[label in term for term in terms] for label in labels[::-1]]
    return prod(sizes[label] for label, own in zip(labels[::-1], takewhile(having[0].__eq__, having), strict=False))


def _shift(tree: Tree, by: int) -> Tree:
    """Renumber the leaves of a tree."""
    return tree + by if isinstance(tree, int) else (tree[0], tuple(_shift(child, by) for child in tree[1]))
