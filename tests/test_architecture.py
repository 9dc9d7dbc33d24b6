"""The architecture is a test: what imports what, how long things are, what is public, and what the files speak of."""

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import tnalgebra

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tnalgebra"

# A part imports only parts of rows above its own: neither a neighbour in the row nor anything below.
LAYERS = (
    ("errors",),
    ("algebra", "canvas"),
    ("graph",),
    ("plan",),
    ("execute",),
    ("formats",),
    ("decompose",),
    ("networks",),
    ("expressivity", "training"),
    ("interop", "plot", "distributed"),
    ("experiments",),
    ("cli",),
    ("__main__",),
)
# These stand beside the layers: only the parts named here may import them.
BESIDE = {"interop", "plot", "distributed"}
MAY_IMPORT_BESIDE = {"experiments", "cli"}
# `import tnalgebra` imports everything, so within the package only these may do it; the package itself imports freely.
MAY_IMPORT_PACKAGE = {"experiments", "cli", "__main__"}

RANK = {part: rank for rank, row in enumerate(LAYERS) for part in row}

MODULE_LINES = 300
FUNCTION_LINES = 50

NOT_IMPORTED_WITH_THE_PACKAGE = ("cupy", "dask", "jax", "matplotlib", "numba", "sklearn", "tensornetwork", "torch")

PUBLIC: list[str] = [
    "Adam",
    "CPTensor",
    "Checkpoint",
    "DimensionTree",
    "Expression",
    "FeatureMap",
    "FixedMap",
    "HTTensor",
    "HierarchicalNetwork",
    "Operator",
    "RecurrentNetwork",
    "SGD",
    "ShallowNetwork",
    "TTTensor",
    "TangentSpace",
    "TensorNetworkClassifier",
    "TensorNetworkRegressor",
    "TnAlgebraError",
    "batched",
    "compare_ranks",
    "compile",
    "concatenate",
    "contract",
    "contract_expression",
    "contract_path",
    "decompose",
    "distributes",
    "expressivity",
    "fit",
    "grid_tensor",
    "leaf",
    "load",
    "load_data",
    "matricization_rank",
    "networks",
    "operator",
    "plan_cache",
    "plot",
    "register_operator",
    "shallow_width_bounds",
    "shallow_width_lower_bound",
    "stack_sum",
    "stacked",
    "theory",
    "training",
    "value_and_grad",
]


# --- what is imported, wherever it stands in a module ------------------------------------------------------------


def modules(package):
    """Dotted name -> path of every module: {"tnalgebra.graph.node": .../graph/node.py, "tnalgebra.graph": ...}."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def resolve(target, level, module, path):
    """Absolute name of a relative import: ("node", 1) in tnalgebra.graph.parse -> tnalgebra.graph.node."""
    if level == 0:
        return target
    parts = module.split(".")
    parents = parts[: len(parts) - level + (path.name == "__init__.py")]
    return ".".join(parents + ([target] if target else []))


def imports(module, path, known):
    """(line, absolute name) of every import: in functions, under TYPE_CHECKING, and by import_module("literal")."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=target, names=names, level=level):
                source = resolve(target, level, module, path)
                for alias in names:
                    submodule = f"{source}.{alias.name}"
                    yield node.lineno, submodule if submodule in known else source
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                target = name.lstrip(".")
                yield node.lineno, resolve(target, len(name) - len(target), module, path)


def part_of(module):
    """The part of the package a module belongs to: tnalgebra.graph.node -> graph; the package itself -> ''."""
    return module.split(".")[1] if "." in module else ""


def why_not(part, target):
    """The reason why `part` must not import the part `target`, or None if it may."""
    if target == part:
        return None
    if target == "":
        return (
            None if part in MAY_IMPORT_PACKAGE else "that is the whole package; import the part that defines the name"
        )
    if target not in RANK:
        return f"place {target!r} in LAYERS first"
    if target in BESIDE and part not in MAY_IMPORT_BESIDE:
        return f"only {' and '.join(sorted(MAY_IMPORT_BESIDE))} may import {target}"
    if RANK[target] >= RANK[part]:
        return f"{part} may import only what stands above it in LAYERS"
    return None


def wrong_imports(package):
    """One sentence for every import against the order of LAYERS, and for every part that has no place in it."""
    known = modules(package)
    wrong = []
    for module, path in known.items():
        part, where = part_of(module), path.relative_to(package.parent).as_posix()
        if module == package.name:
            continue
        if part not in RANK:
            wrong.append(f"{where} belongs to no layer: place {part!r} in LAYERS")
            continue
        for line, target in imports(module, path, known):
            if target.split(".")[0] == package.name and (reason := why_not(part, part_of(target))):
                wrong.append(f"{where}:{line} imports {target}: {reason}")
    return wrong


def test_imports_follow_the_layers():
    assert wrong_imports(PACKAGE) == []


def imports_of(target, package):
    """`file:line` of every import of the module `target` within the package."""
    known = modules(package)
    return [
        f"{path.relative_to(package).as_posix()}:{line}"
        for module, path in known.items()
        for line, name in imports(module, path, known)
        if name == target
    ]


def test_no_module_imports_the_reference_evaluator():
    """It is the slow truth that tests compare with; nothing in the package may lean on it."""
    assert imports_of("tnalgebra.execute.reference", PACKAGE) == []


# --- how long things are -----------------------------------------------------------------------------------------


def function_lines(node):
    """Lines of a function's body, docstring not counted."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def too_long(package):
    """One sentence for every module and every function above its ceiling."""
    found = []
    for path in modules(package).values():
        text, where = path.read_text(encoding="utf-8"), path.relative_to(package.parent).as_posix()
        if (lines := len(text.splitlines())) > MODULE_LINES:
            found.append(f"{where} has {lines} lines, at most {MODULE_LINES} are allowed")
        for node in ast.walk(ast.parse(text, str(path))):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (n := function_lines(node)) > FUNCTION_LINES
            ):
                found.append(f"{where}:{node.lineno} {node.name} has {n} lines, at most {FUNCTION_LINES} are allowed")
    return found


def test_modules_and_functions_are_short():
    assert too_long(PACKAGE) == []


# --- what the package shows and loads ----------------------------------------------------------------------------


def test_public_surface():
    assert sorted(PUBLIC) == PUBLIC
    assert sorted(getattr(tnalgebra, "__all__", [])) == PUBLIC
    assert [name for name in PUBLIC if not hasattr(tnalgebra, name)] == []


def test_importing_the_package_imports_no_optional_library():
    code = f"import sys, tnalgebra; print(*sorted(sys.modules.keys() & set({NOT_IMPORTED_WITH_THE_PACKAGE!r})))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split(), run.stderr) == (0, [], "")


# --- the repository speaks only of itself ------------------------------------------------------------------------

HOME_DIRECTORY = r"(?<![\w.])/(?:home|Users|root)/\w"
PACKAGE_INDEX = r"\b(?:extra[-_])?index[-_]url\b|\bfind[-_]links\b|https?://\S+/simple\b"


def tracked_files(root):
    """Every file that git tracks below `root`; skips the test where there is no git checkout to ask."""
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files", "-z"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [root / name for name in names.split("\0") if name and (root / name).is_file()]


def machine_paths(root):
    """Regular expressions for the checkout and the folder that holds it, unless that folder is a machine's own."""
    shared = {Path(root.anchor), Path(tempfile.gettempdir()).resolve()}
    return [rf"(?<![\w.]){re.escape(str(path))}(?![\w-])" for path in (root, root.parent) if path not in shared]


def foreign_words(paths, patterns):
    """`file:line: match` for everything in the text files among `paths` that one of `patterns` finds."""
    found, pattern = [], re.compile("|".join(patterns))
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # a picture or an array
        found += [f"{path}:{n}: {m[0]}" for n, line in enumerate(lines, 1) if (m := pattern.search(line))]
    return found


def test_the_repository_speaks_only_of_itself():
    patterns = [*machine_paths(ROOT), HOME_DIRECTORY, PACKAGE_INDEX]
    assert foreign_words(tracked_files(ROOT), patterns) == []


# --- the checks above can fail -----------------------------------------------------------------------------------


def write_package(folder, modules):
    """A package `tnalgebra` in `folder` with these modules, path -> text."""
    package = folder / "tnalgebra"
    for path, text in {"__init__.py": "", **modules}.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    return package


@pytest.mark.parametrize(
    "line",
    [
        "import tnalgebra.plan",
        "from tnalgebra import plan",
        "from tnalgebra.plan import paths",
        "from tnalgebra.plan.paths import order",
        "from .. import plan",
        "from ..plan import order",
        "from ..plan.paths import order",
        "def f():\n    from ..plan import order",
        "if TYPE_CHECKING:\n    from ..plan import Plan",
        "import_module('tnalgebra.plan')",
        "importlib.import_module('..plan', __package__)",
        "import tnalgebra",
        "from tnalgebra import contract",
        "from ..nowhere import something",
        "from ..plot import draw",
    ],
)
def test_a_wrong_import_is_found(tmp_path, line):
    package = write_package(
        tmp_path, {"plan/__init__.py": "", "plan/paths.py": "", "plot.py": "", "graph/node.py": line}
    )
    (wrong,) = wrong_imports(package)
    assert wrong.startswith(f"tnalgebra/graph/node.py:{1 + line.count(chr(10))} imports tnalgebra")


def test_a_right_import_is_not_found(tmp_path):
    modules = {
        "__init__.py": "from .cli import main",
        "algebra/__init__.py": "",
        "graph/sizes.py": "",
        "graph/node.py": "import numpy\nfrom . import sizes\nfrom .sizes import bind\nfrom ..algebra import operator",
        "plot.py": "from .graph import node",
        "cli.py": "import tnalgebra\nfrom . import plot",
    }
    assert wrong_imports(write_package(tmp_path, modules)) == []


def test_neighbours_in_a_layer_do_not_import_one_another(tmp_path):
    modules = {"expressivity.py": "from . import training", "training.py": "from .expressivity import report"}
    assert wrong_imports(write_package(tmp_path, modules)) == [
        f"tnalgebra/{a}.py:1 imports tnalgebra.{b}: {a} may import only what stands above it in LAYERS"
        for a, b in [("expressivity", "training"), ("training", "expressivity")]
    ]


def test_a_part_without_a_layer_is_found(tmp_path):
    package = write_package(tmp_path, {"datasets.py": ""})
    assert wrong_imports(package) == ["tnalgebra/datasets.py belongs to no layer: place 'datasets' in LAYERS"]


@pytest.mark.parametrize(
    "line",
    [
        "import tnalgebra.execute.reference",
        "from tnalgebra.execute.reference import evaluate",
        "from .reference import evaluate",
        "from . import reference",
        "def f():\n    from .reference import forbid_reference",
    ],
)
def test_an_import_of_the_reference_evaluator_is_found(tmp_path, line):
    package = write_package(tmp_path, {"execute/__init__.py": "", "execute/reference.py": "", "execute/run.py": line})
    assert imports_of(f"{package.name}.execute.reference", package) == [f"execute/run.py:{1 + line.count(chr(10))}"]


def test_what_is_too_long_is_found(tmp_path):
    longest = 'def f():\n    """Doc.\n' + "\n" * FUNCTION_LINES + '    """\n' + "    x = 1\n" * FUNCTION_LINES
    modules = {"plan.py": longest, "errors.py": longest + "    x = 1\n", "cli.py": "\n" * (MODULE_LINES + 1)}
    assert too_long(write_package(tmp_path, modules)) == [
        "tnalgebra/cli.py has 301 lines, at most 300 are allowed",
        "tnalgebra/errors.py:1 f has 51 lines, at most 50 are allowed",
    ]


def test_a_machine_path_is_found(tmp_path):
    root = tmp_path / "holder" / "checkout"
    bad = [f"see {root}/x", f"see {root.parent}.", "cd /{}/ann", "pip --{}-url a", "https://a.example/{}/"]
    good = ["a simple page", f"docs{root}", "docs/home/page", "the index of the url"]
    page = tmp_path / "page.md"
    page.write_text("\n".join(bad + good).format("home", "index", "simple"), encoding="utf-8")
    found = foreign_words([page], [*machine_paths(root), HOME_DIRECTORY, PACKAGE_INDEX])
    assert [line.split(": ")[0] for line in found] == [f"{page}:{n}" for n in (1, 2, 3, 4, 5)]
