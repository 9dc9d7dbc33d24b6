"""The text of CUDA kernels, and the simpler of the two: a thread has one entry of the result.

Sizes and strides, in entries, are parameters of a kernel, so that one text serves arrays of any shape. Labels are
numbers: `n2` is the size of label 2, `i2` an index, `x0_2` the stride of operand 0 along it. A division by `n2` is a
product with `r2` and a shift by `h2` bits.
"""

import hashlib
from collections.abc import Container, Iterable, Mapping

from ...graph import Labels
from ...plan.step import union
from .cuda_scalar import head, number, written
from .cuda_work import Work

__all__ = ["SIGNATURE", "THREADS", "Writer", "flat", "named"]

THREADS = 256
"""Threads of a block where there are no tiles."""
SIGNATURE = 'extern "C" __global__ void __launch_bounds__({threads}) NAME({parameters})'
GUARD = ("const bool* __restrict__ wanted", "const long long each")
"""Which entries to write, one truth value for each of them where `each` is 1, and one for all where it is 0."""


class Writer:
    """Lines of C for the work of one step: indices, offsets, values and totals."""

    def __init__(self, work: Work, threads: int, is_guarded: bool) -> None:
        self.work, self.threads, self.is_guarded = work, threads, is_guarded
        self.number = {label: i for i, label in enumerate(work.labels)}
        self.lines: list[str] = []
        self._depth = 1

    def add(self, *lines: str) -> None:
        """Append lines, indented by the braces that are open."""
        for line in lines:
            self._depth -= line.startswith("}")
            self.lines.append("    " * self._depth + line)
            self._depth += line.endswith("{")

    def size(self, labels: Labels) -> str:
        """How many entries these labels span."""
        product = " * ".join(f"n{self.number[label]}" for label in labels) or "1"
        return f"({product})" if len(labels) > 1 else product

    def indices(self, labels: Labels, counter: str, used: Labels) -> None:
        """The index of each label that is used, from one number that runs over all; the last label changes first."""
        first = next((position for position, label in enumerate(labels) if label in used), len(labels))
        for position in reversed(range(first, len(labels))):
            i = self.number[labels[position]]
            if position == 0:
                self.add(f"const int i{i} = {counter};")
                continue
            self.add(f"const int q{i} = divided({counter}, r{i}, h{i});")
            if labels[position] in used:
                self.add(f"const int i{i} = {counter} - q{i} * n{i};")
            counter = f"q{i}"

    def offset(self, name: str, own: Labels, labels: Iterable[str]) -> str:
        """Where the entry at the indices of these labels lies in an array that has the labels `own`."""
        numbers = (self.number[label] for label in labels if label in own)
        return " + ".join(f"1LL * i{i} * {name}_{i}" for i in numbers) or "0"

    def read(self, wanted: Iterable[int], given: Container[int] = ()) -> Labels:
        """Labels of the operands that the values at these places need."""
        places = self.work.needed(wanted, given)
        return union(*(self.work.terms[place] for place in places if place < len(self.work.terms)))

    def values(self, wanted: Iterable[int], given: Mapping[int, str], labels: Labels) -> list[str]:
        """Compute the values at these places, from operands at the indices of the labels; their texts."""
        work, names = self.work, dict(given)
        for place in work.needed(wanted, given):
            if place < len(work.terms):
                names[place] = f"v{place}"
                self.add(f"const T v{place} = x{place}[{self.offset(f'x{place}', work.terms[place], labels)}];")
        lines, texts = written(work, wanted, names)
        self.add(*lines)
        return texts

    def combine(self, total: str, end: int, given: Mapping[int, str], labels: Labels) -> None:
        """Total ← what is at the place `end`: total ⊕ the value, or the value where nothing is summed."""
        names = given if self.work.total is None else {**given, self.work.total: total}
        (text,) = self.values([end], names, labels)
        self.add(f"{total} = {text};")

    def kernel(self, dtype: str, *more: str) -> tuple[str, str]:
        """The name of the kernel and its text."""
        work = self.work
        parameters = [
            "T* __restrict__ out",
            *(f"const T* __restrict__ x{i}" for i in range(len(work.terms))),
            *(f"const int n{i}, const unsigned r{i}, const int h{i}" for i in range(len(work.labels))),
            *(
                f"const int {name}_{self.number[label]}"
                for name, own in (("out", work.result), *((f"x{i}", term) for i, term in enumerate(work.terms)))
                for label in work.labels
                if label in own
            ),
            "const long long part",
            "const int shares",
            *more,
            *(GUARD if self.is_guarded else ()),
        ]
        signature = SIGNATURE.format(threads=self.threads, parameters=", ".join(parameters))
        return named("\n".join([head(dtype), f"{signature} {{", *self.lines, "}\n"]))


def named(text: str) -> tuple[str, str]:
    """A name that no other kernel has, and the text with it."""
    name = f"tnalgebra_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name, text.replace("NAME", name)


def flat(work: Work, dtype: str, lanes: int = 1, is_guarded: bool = False) -> tuple[str, str]:
    """So many threads an entry of the result and a share of the terms: neighbours read neighbours where they can.

    Its own parameters: `part`, the entries of one share of the result, and how many shares there are.
    """
    to, groups = Writer(work, THREADS, is_guarded), THREADS // lanes
    kept = tuple(label for label in work.order if label in work.result)
    is_summed_last = bool(work.summed) and work.order[-1] in work.summed
    near, far, step = ("lane", "group", lanes) if is_summed_last else ("group", "lane", groups)
    to.add(
        f"const int {near} = threadIdx.x % {step}, {far} = threadIdx.x / {step};",
        f"const long long place = 1LL * blockIdx.x * {groups} + group;",
        "bool is_there = place < part * shares;",
        f"const int share = place {'% shares' if is_summed_last else '/ part'};",
    )
    if kept:
        to.add(f"const int entry = place {'/ shares' if is_summed_last else '% part'};")
    to.indices(kept, "entry", kept)
    if is_guarded:
        to.add(f"is_there = is_there && wanted[each * ({to.offset('out', work.result, kept)})];")
    to.add(f"T total = {number(work.unit)};", "if (is_there) {")
    if work.summed:
        to.add(f"for (int k = share * {lanes} + lane; k < {to.size(work.summed)}; k += shares * {lanes}) {{")
        to.indices(work.summed, "k", to.read([work.end]))
    to.combine("total", work.end, {}, work.labels)
    if work.summed:
        to.add("}")
    to.add("}")
    if lanes > 1 and work.fold is not None:
        _fold_lanes(to, work.fold, lanes, 1 if is_summed_last else groups)
    to.add(f"if (is_there && lane == 0) out[share * part + {to.offset('out', work.result, kept)}] = total;")
    return to.kernel(dtype)


def _fold_lanes(to: Writer, fold: Work, lanes: int, step: int) -> None:
    """⊕ of the totals of an entry, always in the same order, in its first lane."""
    lines, (text,) = written(fold, [fold.end], {0: "total", 1: "other"})
    to.add(f"__shared__ T totals[{THREADS}];", "totals[threadIdx.x] = total;")
    to.add("#pragma unroll", f"for (int half = {lanes // 2}; half > 0; half /= 2) {{", "__syncthreads();")
    to.add("if (lane < half) {", f"const T other = totals[threadIdx.x + half * {step}];", *lines)
    to.add(f"totals[threadIdx.x] = total = {text};", "}", "}")
