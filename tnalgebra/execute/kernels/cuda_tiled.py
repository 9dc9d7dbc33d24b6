"""The text of a tiled CUDA kernel: what many entries of the result share is computed once and waits for them.

It is a matrix product with ξ and ⊕ in place of · and Σ where both operands are matrices. Values that depend on the
operands of one side alone wait in its place: ξ(a, h) in Σ W · ξ(a, h), or the exponentials in Σ ln(eᵃ + eʰ).
"""

from collections.abc import Sequence
from math import gcd

from ...graph import Labels
from .cuda_scalar import number
from .cuda_source import Writer
from .cuda_tiles import FACTORS, WORD, Tiling
from .cuda_work import Work

__all__ = ["MORE", "tiled"]

MORE = ("const int chunk",)
"""How many terms a share has."""
SHARED = ("k", "mk", "nk")
"""Axes of what waits in shared memory."""
WORDS = {"float": WORD, "double": WORD // 2}
"""Entries that are read at once."""
ROOM = {dtype: maxexp // FACTORS - 3 for dtype, maxexp in (("float", 127), ("double", 1023))}
"""Powers of 2 of numbers whose sums may be multiplied."""


def tiled(work: Work, tiling: Tiling, dtype: str, turned: str = "", is_guarded: bool = False) -> tuple[str, str]:
    """A block of threads a tile of the result and a share of the terms; a guard is one for all entries.

    turned: which of rows, m, and columns, n, lie closer in memory than terms.
    What the next terms need is read while those at hand are computed, and left on the other side of shared memory.
    """
    to = _TileWriter(work, tiling, dtype, turned, is_guarded)
    depth = to.depth
    if is_guarded:
        to.add("if (!wanted[0]) return;")
    to.locate()
    to.declare()
    for axes in ("", "m", "n", "mn"):
        to.fill_registers(axes)
    to.each("mn", [f"total[i][j] = {number(work.unit)};"])
    to.add(f"for (int start = begin - {depth}; start < end; start += {depth}) {{")
    to.add(f"const int next = start + {depth};", "if (next < end) {")
    for axes in SHARED:
        to.fetch(axes)
    to.add("}", "if (start >= begin) {", f"const int depth = min({depth}, end - start);")
    to.terms()
    to.add("}", "side ^= 1;")
    if to.by_products:
        to.add("is_wide = false;")
    for axes in SHARED:
        to.put(axes)
    to.add("is_wide = __syncthreads_or(is_wide);" if to.by_products else "__syncthreads();", "}")
    to.store()
    return to.kernel(dtype, *MORE)


class _TileWriter(Writer):
    """Axes are m, rows of the tile; n, its columns; and k, terms. A thread owns entries i and j of rows and columns.

    The entries of a thread lie in words of 16 bytes, as far apart as there are threads: neighbours read neighbours.
    """

    def __init__(self, work: Work, tiling: Tiling, dtype: str, turned: str, is_guarded: bool) -> None:
        super().__init__(work, tiling.tile.threads, is_guarded)
        tile, self.turned, self.word, self.room = tiling.tile, turned, WORDS[dtype], ROOM[dtype]
        self.depth = tile.depth * self.word // WORD
        self.tiling, self.staged, self.by_products = tiling, tiling.staged(work), tiling.takes_products(work)
        self.groups = {"m": tiling.rows, "n": tiling.columns, "k": work.summed}
        self.span = {"m": tile.rows, "n": tile.columns, "k": 1}
        self.own = {"m": tile.height, "n": tile.width}
        self.within = {
            "m": self._within("down", "i", tile.height, tile.rows),
            "n": self._within("across", "j", tile.width, tile.columns),
        }

    def _within(self, thread: str, counter: str, own: int, span: int) -> str:
        """Where an entry of a thread lies in the tile."""
        word = gcd(self.word, own)
        if word == own:
            return f"{thread} * {own} + {counter}"
        return f"({thread} + {counter} / {word} * {span // own}) * {word} + {counter} % {word}"

    def locate(self) -> None:
        """Which tile this block has, which share of the terms, and where in it this thread is."""
        tile = self.tiling.tile
        self.add("int block = blockIdx.x;")
        for axis in "nm":
            span = self.span[axis]
            self.add(
                f"const int {axis}_end = {self.size(self.groups[axis])}, {axis}_tiles = ({axis}_end - 1) / {span} + 1;",
                f"const int {axis}_start = block % {axis}_tiles * {span};",
                f"block /= {axis}_tiles;",
            )
        self.add(
            "const int share = block % shares, begin = share * chunk;",
            f"const int end = min({self.size(self.work.summed)}, begin + chunk);",
            "block /= shares;",
            f"const int across = threadIdx.x % {tile.columns // tile.width};",
            f"const int down = threadIdx.x / {tile.columns // tile.width};",
        )
        batch = self.tiling.batch
        self.indices(batch, "block", batch)
        self.add(f"out += share * part + {self.offset('out', self.work.result, batch)};")
        for i, term in enumerate(self.work.terms):
            if not set(term).isdisjoint(batch):
                self.add(f"x{i} += {self.offset(f'x{i}', term, batch)};")

    def declare(self) -> None:
        """Room for what waits; rows of shared memory are longer by a word, so that they begin in different banks."""
        for place, axes in self.staged.items():
            if "k" in axes:
                width = "" if axes == "k" else f"[{self.span[axes[0]] + self.word}]"
                self.add(f"__align__(16) __shared__ T s{place}[2][{self.depth}]{width};")
                self.add(f"T f{place}[{self._turns(axes)}];")
            else:
                self.add(f"T s{place}{self._extent(axes)};")
        self.add(f"T total{self._extent('mn')};", "int side = 0;")
        if self.by_products:
            self.add("bool is_wide = false;  // whether a product of what waits might leave the range of the numbers")

    def _turns(self, axes: str) -> int:
        """How often all threads together read one entry each, until what waits along these axes is read."""
        return -(-self.depth * self.span[axes[0]] // self.threads)

    def _extent(self, axes: str) -> str:
        return "".join(f"[{self.own[axis]}]" for axis in axes)

    def each(self, axes: str, lines: Sequence[str]) -> None:
        """Lines for every entry of this thread along these axes."""
        self._open(axes)
        self.add(*lines)
        self._close(axes)

    def _open(self, axes: str) -> None:
        for axis in axes:
            counter = "i" if axis == "m" else "j"
            self.add("#pragma unroll", f"for (int {counter} = 0; {counter} < {self.own[axis]}; ++{counter}) {{")

    def _close(self, axes: str) -> None:
        self.add(*["}"] * len(axes))

    def _entries(self, axes: str) -> None:
        """The place of an entry of this thread among all; beyond the edge, that of the last one."""
        self.add(*(f"const int {axis} = min({axis}_start + {self.within[axis]}, {axis}_end - 1);" for axis in axes))

    def _all_indices(self, axes: str, used: Labels) -> Labels:
        """Write the indices of labels that are used, from the places along these axes; these labels."""
        for axis in axes:
            self.indices(self.groups[axis], axis, used)
        return tuple(label for axis in axes for label in self.groups[axis] if label in used)

    def _fill(self, axes: str, name: str, spot: str) -> None:
        """Compute what waits along these axes, from operands at m, n and k."""
        places = [place for place, own in self.staged.items() if own == axes]
        texts = self.values(places, {}, self._all_indices(axes, self.read(places)))
        self.add(*(f"{name}{place}{spot} = {text};" for place, text in zip(places, texts, strict=True)))

    def fill_registers(self, axes: str) -> None:
        """What does not change along the terms: every thread computes its own."""
        if axes not in self.staged.values():
            return
        self.add("{")
        self._open(axes)
        self._entries(axes)
        self._fill(axes, "s", {"": "", "m": "[i]", "n": "[j]", "mn": "[i][j]"}[axes])
        self._close(axes)
        self.add("}")

    def fetch(self, axes: str) -> None:
        """Compute what the next terms need: all threads together, along the axis that lies closer in memory."""
        if axes not in self.staged.values():
            return
        self._open_turns(axes)
        if axes != "k":
            axis = axes[0]
            self.add(f"const int {axis} = min({axis}_start + w, {axis}_end - 1);")
        self.add("const int k = min(next + d, end - 1);")
        self._fill(axes, "f", "[r]")
        self.add("}")

    def put(self, axes: str) -> None:
        """Leave what was fetched where all threads find it."""
        if axes not in self.staged.values():
            return
        depth, span, spot = self.depth, self.span[axes[0]], "[side][d]" if axes == "k" else "[side][d][w]"
        is_whole = depth * span == self.threads * self._turns(axes)
        guard = "" if is_whole else f"if (d < {depth}) " if axes == "k" else f"if (d < {depth} && w < {span}) "
        self._open_turns(axes)
        for place, own in self.staged.items():
            if own == axes:
                self.add(f"{guard}s{place}{spot} = f{place}[r];")
                if self.by_products:
                    self.add(f"is_wide |= !within(f{place}[r], T({2.0**-self.room!r}), T({2.0**self.room!r}));")
        self.add("}")

    def _open_turns(self, axes: str) -> None:
        """Where in shared memory the entry of a thread lies in each turn."""
        depth, axis, span = self.depth, axes[0], self.span[axes[0]]
        self.add("#pragma unroll", f"for (int r = 0; r < {self._turns(axes)}; ++r) {{")
        if axes == "k":
            self.add(f"const int d = threadIdx.x + r * {self.threads};")
            return
        near, far, neighbours = ("w", "d", span) if axis in self.turned else ("d", "w", depth)
        self.add(
            f"const int {near} = threadIdx.x % {neighbours};",
            f"const int {far} = threadIdx.x / {neighbours} + r * {self.threads // neighbours};",
        )

    def terms(self) -> None:
        """The terms at hand for every entry of this thread."""
        work, every = self.work, "for (int d = 0; d < depth; ++d) {"
        if not self.by_products or work.product is None:
            self.add(every)
            self.step("total[i][j]", work.end)
            self.add("}")
            return
        self.add("if (is_wide) {", every)
        self.step("total[i][j]", work.end)
        self.add("}", "} else {", f"for (int first = 0; first < depth; first += {FACTORS}) {{")
        self.add(f"const int last = min(depth, first + {FACTORS});", f"T product{self._extent('mn')};")
        self.each("mn", ["product[i][j] = T(1);"])
        self.add("for (int d = first; d < last; ++d) {")
        self.step("product[i][j]", work.product)
        self.add("}")
        self.each("mn", ["total[i][j] += log(product[i][j]);"])
        self.add("}", "}")

    def step(self, total: str, end: int) -> None:
        """One term for every entry of this thread: total ← what is at the place `end`."""
        names = {}
        for place, axes in self.staged.items():
            if axes in ("mk", "nk"):
                self.add(f"T a{place}{self._extent(axes[0])};")
                spot = "[i]" if axes == "mk" else "[j]"
                self.each(axes[0], [f"a{place}{spot} = s{place}[side][d][{self.within[axes[0]]}];"])
                names[place] = f"a{place}{spot}"
            else:
                names[place] = f"s{place}" + {"": "", "k": "[side][d]", "m": "[i]", "n": "[j]", "mn": "[i][j]"}[axes]
        self._open("mn")
        self.combine(total, end, names, ())
        self._close("mn")

    def store(self) -> None:
        """Write the entries that there are."""
        self._open("mn")
        self.add(*(f"const int {axis} = {axis}_start + {self.within[axis]};" for axis in "mn"))
        self.add("if (m < m_end && n < n_end) {")
        labels = self._all_indices("mn", self.work.result)
        self.add(f"out[{self.offset('out', self.work.result, labels)}] = total[i][j];", "}")
        self._close("mn")
