"""Steps as texts of kernels on addresses: views are strides, and every other value has a buffer."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from math import prod

from ..algebra import Operator, operator
from ..algebra.derivative import substituted
from ..algebra.scalar import parse
from ..algebra.schedule import Schedule, Tree, schedule
from ..graph import Labels
from ..plan import Plan, Step
from ..plan.cost import layout, tree_labels
from ..plan.formula import folding, formula, formulas
from ..plan.generated import is_exponential
from ..plan.step import union, volume
from .call import SUMS, Span, span
from .kernels.bilinear import Unit, unit
from .kernels.fold import fold
from .kernels.fused import ROWS
from .kernels.jit import can_compile
from .kernels.layouts import merged
from .kernels.native import matrix_text
from .kernels.nest import Result
from .loops import SAME, Loops, turned
from .value import UnsupportedError, Value, axes_of, strides_of

__all__ = ["Writer"]

MATRIX = 1 << 14
"""Multiplications from which BLAS is faster than loops of known length."""
VECTOR = 16
"""Operations of a matrix product that take as long as one of a loop over entries."""
PRODUCT: Schedule = schedule((("multiply", ("x0", "x1")),), ("x0", "x1"))
ADD: Schedule = schedule((("add", ("x", "y")),), ("x", "y"))


class Writer(Loops):
    """The calls of steps, one after the other."""

    def __init__(self, plan: Plan, itemsize: int, threads: int) -> None:
        super().__init__(plan, itemsize, threads)
        self._held: dict[int, set[int]] = {value.row: {slot} for slot, value in self.values.items()}

    def write(self, group: Sequence[Step], ends: Container[int] = ()) -> None:
        """Append the calls of a step, or of several on the same operands; ends: slots that nothing reads later.

        A slot that nothing reads at all is never among them, and its buffer belongs to it for good.
        """
        rows = Counter(self.values[slot].row for slot in group[0].inputs)
        self.ending = frozenset(
            row
            for row, count in rows.items()
            if count == 1 and row >= self.leaves and all(slot in ends for slot in self._held[row])
        )
        self._write(group)
        for step in group:
            if step.output in self.values:
                self._held.setdefault(self.values[step.output].row, set()).add(step.output)

    def _write(self, group: Sequence[Step]) -> None:
        step = group[0]
        read = [self.values[slot] for slot in step.inputs]
        if step.kind == "product" and len(group) > 1:
            self._folded(step, group[1:])
            return
        if step.kind == "blocked" and len(group) == 1 and step.reduce and is_exponential(step.reduce) and step.summed:
            self.values[step.output] = self._by_exponentials(step, read)
            return
        if step.kind == "blocked":
            trees = [member.tree for member in group if member.tree is not None]
            calls = formulas(trees, len(read), is_expanded=False)
            found = self._nest(calls, read, step.terms, [(m.result, folding(m), m.reduce) for m in group], step.sizes)
            self.values |= {member.output: value for member, value in zip(group, found, strict=True)}
            return
        writers = {
            "view": self._view, "take": self._take, "map": self._map, "sum": self._sum, "reduce": self._reduce,
            "shape": self._shape, "stack": self._stack, "product": self._product_step, "weighted": self._weighted,
        }  # fmt: skip
        if step.kind not in writers:
            raise UnsupportedError
        self.values[step.output] = writers[step.kind](step, read)

    # --- kinds of steps ----------------------------------------------------------------------------------------------

    def _entrywise(self, tree: Tree, step: Step, read: Sequence[Value]) -> Value:
        calls = schedule((tree,), tuple(f"x{i}" for i in range(len(read))))
        return self._nest(calls, read, step.terms, [(step.result, None, None)], step.sizes)[0]

    def _view(self, step: Step, read: Sequence[Value]) -> Value:
        (value,), labels = read, step.terms[0]
        strides = tuple(
            sum(s for name, s in zip(labels, value.strides, strict=True) if name == label) for label in step.result
        )
        found = Value(value.row, value.offset, tuple(step.sizes[label] for label in step.result), strides)
        return self.copied(found, axes_of(found)) if step.text == "copy" else found

    def _take(self, step: Step, read: Sequence[Value]) -> Value:
        (value,) = read
        (axis,) = (axis for axis, label in enumerate(step.terms[0]) if label not in step.result)
        rest = [i for i in range(len(value.shape)) if i != axis]
        shape, strides = tuple(value.shape[i] for i in rest), tuple(value.strides[i] for i in rest)
        return Value(value.row, value.offset + int(step.text) * value.strides[axis], shape, strides)

    def _by_exponentials(self, step: Step, read: Sequence[Value]) -> Value:
        """⊕ x = g⁻¹(Σ g(x − a)) + a with the largest number a: one exponential a number, where ⊕ of two takes more."""
        assert step.tree is not None
        assert step.reduce is not None
        assert step.reduce.generator is not None
        value, count = formula(step.tree), len(read)
        g, inverse = (parse(text, ("x",)) for text in step.reduce.generator)

        def reduced(tree: Tree, op: Operator, *more: Value) -> Value:
            calls = schedule((tree,), tuple(f"x{i}" for i in range(count + len(more))))
            terms = [*step.terms, *[step.result] * len(more)]
            wanted = [(step.result, folding(replace(step, reduce=op)), op)]
            return self._nest(calls, [*read, *more], terms, wanted, step.sizes)[0]

        top = reduced(value, operator("maximum"))
        shift: Tree = ("where", (("isfinite", (f"x{count}",)), f"x{count}", 0))
        total = reduced(substituted(g, {"x": ("subtract", (value, shift))}), operator("add"), top)
        back = substituted(("add", (inverse, shift)), {"x": "x0", f"x{count}": "x1"})
        calls = schedule((back,), ("x0", "x1"))
        return self._nest(calls, [total, top], [step.result] * 2, [(step.result, None, None)], step.sizes)[0]

    def _map(self, step: Step, read: Sequence[Value]) -> Value:
        if step.text != "repeat":
            return self._entrywise(substituted(parse(step.text, ("x",)), {"x": "x0"}), step, read)
        assert step.reduce is not None
        assert step.reduce.repeat is not None
        times = float(prod(size for label, size in step.sizes.items() if label not in step.result))
        tree = substituted(parse(step.reduce.repeat, ("x", "n")), {"x": "x0", "n": times})
        return self._entrywise(tree, step, read)

    def _sum(self, step: Step, read: Sequence[Value]) -> Value:
        tree: Tree = "x0"
        for i in range(1, len(read)):
            tree = "add", (tree, f"x{i}")
        return self._entrywise(tree, step, read)

    def _reduce(self, step: Step, read: Sequence[Value]) -> Value:
        wanted = [(step.result, folding(step), step.reduce)]
        return self._nest(SAME, read, step.terms, wanted, step.sizes)[0]

    def _shape(self, step: Step, read: Sequence[Value]) -> Value:
        """Repeat labels that the result has beside, and sum those of which it has one entry."""
        (value,), names, labels = read, step.terms[0], step.result
        if len(set(labels)) < len(labels) or not set(names) <= set(labels):
            raise UnsupportedError
        given = dict(zip(names, value.shape, strict=True))
        sizes = {label: max(step.sizes[label], given.get(label, 1)) for label in labels}
        out = self._buffer([step.sizes[label] for label in labels])
        lacks = [given.get(label, 1) > step.sizes[label] for label in labels]
        strides = tuple(0 if is_summed else s for s, is_summed in zip(out.strides, lacks, strict=True))
        result = Result(labels, strides, ADD if any(lacks) else None, 0.0 if any(lacks) else None, prod(out.shape))
        spread = tuple(0 if size == 1 else s for size, s in zip(value.shape, value.strides, strict=True))
        self._loops(SAME, [(replace(value, strides=spread), names)], [(out, result)], sizes)
        return out

    def _stack(self, step: Step, read: Sequence[Value]) -> Value:
        whole, rest = step.result, step.terms[0]
        (axis,) = (axis for axis, label in enumerate(whole) if label not in rest)
        places = [int(place) for place in step.text.split(",")]
        out = self._buffer([step.sizes[label] for label in whole])
        if len(places) < step.sizes[whole[axis]]:
            flat = Result(("q",), (1,))
            self._loops(schedule((0.0,), ()), [], [(out, flat)], {"q": prod(out.shape)})
        strides = out.strides[:axis] + out.strides[axis + 1 :]
        for place, value in zip(places, read, strict=True):
            spot = replace(out, offset=place * out.strides[axis])
            self._loops(SAME, [(value, rest)], [(spot, Result(rest, strides))], step.sizes)
        return out

    def _product_step(self, step: Step, read: Sequence[Value]) -> Value:
        return self._product(step.terms, read, step.result, step.sizes)

    def _weighted(self, step: Step, read: Sequence[Value]) -> Value:
        """ξ of all operands into a buffer, and its product with the weight, where one kernel does not do both."""
        assert step.tree is not None
        if (found := unit(step)) is not None and can_compile(found.kernel(self.itemsize).value):
            return self._fused(found, read)
        *terms, weight = step.terms
        labels = tree_labels(step.tree, terms)
        kept = tuple(label for label in labels if label in weight or label in step.result)
        calls = formulas([step.tree], len(terms), is_expanded=False)
        fold = None if kept == labels else ADD
        tile = self._nest(calls, read[:-1], terms, [(kept, fold, step.reduce)], step.sizes)[0]
        return self._product((kept, weight), (tile, read[-1]), step.result, step.sizes)

    def _folded(self, product: Step, users: Sequence[Step]) -> None:
        found = fold(product, users)
        assert found is not None
        kernel = found.kernel(self.itemsize)
        read = [self.values[slot] for slot in found.inputs]
        orders, numbers = found.laid([value.strides for value in read])
        values = self._laid(read, found.terms, orders)
        outs = [self._buffer([product.sizes[label] for label in found.order(term)]) for term in found.results]
        shared = span([Span(0, found.size(found.columns), kernel.width)], product.flops // VECTOR, self.threads)
        self._call(kernel.text(), [*values, *outs], numbers, shared, found.rooms(kernel))
        for user, out, term in zip(users, outs, found.results, strict=True):
            self.values[user.output] = turned(out, [found.order(term).index(label) for label in term])

    def _laid(self, read: Sequence[Value], terms: Sequence[Labels], orders: Sequence[Labels | None]) -> list[Value]:
        """The values, copied where a kernel wants another order of axes."""
        return [
            value if order is None else self.copied(value, tuple(str(term.index(label)) for label in order))
            for value, term, order in zip(read, terms, orders, strict=True)
        ]

    def _fused(self, found: Unit, read: Sequence[Value]) -> Value:
        given, sizes = [value.strides for value in read], found.step.sizes
        kernel = found.kernel(self.itemsize, is_turned=found.is_turned(given))
        orders, numbers = found.laid(kernel, given)
        values = self._laid(read, found.step.terms, orders)
        labels = (*found.batch, *found.rows, *found.columns)
        batch, rows, outer = (found.size(group) for group in (found.batch, found.rows, found.inner[:-1]))
        is_summed = found.is_summed(SUMS) and batch == 1 < self.threads
        whole = (*(sizes[label] for label in (*found.batch, *found.rows)), found.padded(kernel))
        out = self._buffer((SUMS if is_summed else 1, *whole))
        apart = (*[0] * len(values), out.strides[0] * self.itemsize)
        shared = span([Span(0, batch), Span(2, rows, ROWS, SUMS)], found.step.flops // VECTOR, self.threads)
        shared = Span(4, outer, parts=SUMS, apart=apart) if is_summed else shared
        self._call(kernel.text(), [*values, out], numbers, shared, found.rooms(kernel))
        out = self._added(out) if is_summed else replace(out, shape=whole, strides=out.strides[1:])
        columns = strides_of([sizes[label] for label in found.columns])
        strides = dict(zip(labels, (*out.strides[:-1], *columns), strict=True))
        result = found.step.result
        return replace(
            out, shape=tuple(sizes[label] for label in result), strides=tuple(strides[label] for label in result)
        )

    def _added(self, value: Value) -> Value:
        """The sum over its first axis."""
        axes = axes_of(value)
        wanted, sizes = [(axes[1:], ADD, operator("add"))], dict(zip(axes, value.shape, strict=True))
        return self._nest(SAME, [value], [axes], wanted, sizes)[0]

    def _product(
        self, terms: Sequence[Labels], read: Sequence[Value], result: Labels, sizes: Mapping[str, int]
    ) -> Value:
        left, right = terms
        is_entrywise = {label for label in left if label in right} <= set(result)
        groups = layout(left, right, result, dict(sizes))
        if is_entrywise or volume(union(*terms), dict(sizes)) < MATRIX or not (groups.rows or groups.columns):
            wanted = (result, None, None) if is_entrywise else (result, ADD, operator("add"))
            return self._nest(PRODUCT, read, terms, [wanted], sizes)[0]
        size = {name: prod(sizes[label] for label in getattr(groups, name)) for name in ("rows", "inner", "columns")}
        matrices = [
            self._matrix(value, term, (groups.batch, *parts), sizes)
            for value, term, parts in zip(
                read, terms, ((groups.rows, groups.inner), (groups.inner, groups.columns)), strict=True
            )
        ]
        out = self._buffer([sizes[label] for label in groups.result])
        shapes = [(size["rows"], size["inner"]), (size["inner"], size["columns"]), (size["rows"], size["columns"])]
        turns = [*(is_turned for _, _, is_turned in matrices), False]
        steps = (*(stride for _, stride, _ in matrices), size["rows"] * size["columns"])
        text = matrix_text(
            (prod(sizes[label] for label in groups.batch), steps),
            [(*shape, is_turned) for shape, is_turned in zip(shapes, turns, strict=True)],
            self.itemsize,
        )
        self._call(text, [*(value for value, _, _ in matrices), out])
        return turned(out, [groups.result.index(label) for label in result])

    def _matrix(
        self, value: Value, term: Labels, groups: Sequence[Labels], sizes: Mapping[str, int]
    ) -> tuple[Value, int, bool]:
        """An operand as BLAS takes it, the stride from one matrix to the next, and whether it lies turned."""
        strides = dict(zip(term, value.strides, strict=True))
        batch, rows, columns = (merged(group, strides, sizes) for group in groups)
        height, width = (prod(sizes[label] for label in group) for group in groups[1:])
        if batch is not None and rows is not None and columns is not None:
            if (width == 1 or columns == 1) and (height == 1 or rows == width):
                return value, batch, False
            if (height == 1 or rows == 1) and (width == 1 or columns == height):
                return value, batch, True
        order = tuple(str(term.index(label)) for group in groups for label in group)
        return self.copied(value, order), height * width, False
