"""CUDA sources without a device: collected, compiled together, and run on the CPU in place of CuPy's kernels."""

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np

from tests.execute.fake_cupy import CuPyArray, make, written

__all__ = ["Host", "Recorder", "joined", "stand_in"]

SHIM = Path(__file__).with_name("cuda_on_cpu.h")
POINTER = re.compile(r"((?:const )?(?:T|bool|int))\* __restrict__")
SIGNATURE = re.compile(r"__launch_bounds__\(\d+\) (\w+)\(([^)]*)\)")


def joined(texts):
    """One translation unit; every kernel in a namespace of its own, as each declares its types."""
    return "\n".join(f"namespace unit_{name} {{\n{text}}}\n" for name, text in texts.items())


def stand_in(compiler):
    """The stand-in for CuPy with something that takes the texts of kernels."""
    module = make()
    module.RawModule = lambda code, options: compiler(code)
    return module


class Recorder:
    """Keeps the texts of kernels, which then compute nothing."""

    def __init__(self):
        self.texts = {}

    def __call__(self, code):
        self.texts[SIGNATURE.search(code)[1]] = code
        return self

    def get_function(self, name):
        return lambda grid, block, args: None


class Host:
    """Kernels on the CPU, compiled by g++ behind a header that says what `__shared__` and the like mean there.

    A pointer among the parameters becomes one that knows where its array ends.
    """

    def __init__(self, folder):
        self.folder, self.functions, self.launches = folder, {}, 0

    def compile(self, texts):
        """Compile these together."""
        source = self.folder / f"kernels{len(self.functions)}.cpp"
        library = source.with_suffix(".so")
        texts = {name: POINTER.sub(r"Checked<\1>", text) for name, text in texts.items()}
        source.write_text(joined(texts) + "".join(map(launcher, texts.values())), encoding="utf-8")
        command = [
            "g++",
            "-std=c++17",
            "-shared",
            "-fPIC",
            "-ffp-contract=off",
            "-w",
            "-include",
            SHIM,
            source,
            "-o",
            library,
        ]
        subprocess.run(command, check=True)
        loaded = ctypes.CDLL(str(library))
        self.functions |= {name: getattr(loaded, f"launch_{name}") for name in texts}

    def __call__(self, code):
        name = SIGNATURE.search(code)[1]
        if name not in self.functions:
            self.compile({name: code})
        return self

    def get_function(self, name):
        function = self.functions[name]

        def kernel(grid, block, args):
            written(lambda: launch(grid, block, args))

        def launch(grid, block, args):
            self.launches += 1
            kept = [ctypes.create_string_buffer(packed(arg)) for arg in args]
            wrong = function(*grid, *block, (ctypes.c_void_p * len(kept))(*map(ctypes.addressof, kept)))
            assert wrong == 0, (
                f"{name}: {wrong} reads or writes outside of arrays, or barriers that not all threads reach"
            )

        return kernel


def packed(argument):
    """A number, or a pointer with the two ends of its array, as bytes."""
    if not isinstance(argument, CuPyArray):
        return argument.tobytes()
    places = (argument.array.ctypes.data, *np.lib.array_utils.byte_bounds(argument.array))
    return np.array(places, np.uint64).tobytes()


def launcher(text):
    """A function that takes the addresses of a kernel's arguments."""
    name, parameters = SIGNATURE.search(text).groups()
    kinds = [parameter.rsplit(" ", 1)[0].replace("T>", f"unit_{name}::T>") for parameter in parameters.split(", ")]
    arguments = ", ".join(f"*({kind}*) args[{i}]" for i, kind in enumerate(kinds))
    return (
        f'extern "C" int launch_{name}(int blocks, int threads, void** args) {{\n'
        f"    return fibres::run(blocks, threads, [&] {{ unit_{name}::{name}({arguments}); }});\n}}\n"
    )
