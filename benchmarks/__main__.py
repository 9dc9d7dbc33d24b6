"""`python -m benchmarks [--device cuda] [WORD …]`: measure all suites, or those named like a word; keep the numbers.

A row replaces the row of the same name in the results, so that a run that is cut short on one machine loses nothing.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tnalgebra.errors import DeviceError

from . import device
from .harness import machine
from .suites import SUITES, missing_peers

Suites = Mapping[str, Callable[[], Iterator[dict[str, Any]]]]
RESULTS = Path(__file__).parent / "results" / "contract.json"


def main(arguments: list[str]) -> None:
    """Run the suites, print each row, and replace their part of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("words", nargs="*", metavar="WORD", help="a part of the name of a suite")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where to measure")
    options = parser.parse_args(arguments)
    if options.device == "cpu":
        measure(SUITES, missing_peers(), options.words, RESULTS, {})
        return
    try:
        found = device.described()
    except DeviceError as error:
        sys.exit(f"nothing can be measured on a GPU: {error}")
    measure(device.SUITES, device.missing_peers(), options.words, RESULTS.with_name("cuda.json"), found)


def measure(suites: Suites, missing: list[str], words: list[str], results: Path, found: dict[str, Any]) -> None:
    """Measure suites named like one of the words, or all; `found` says more about the machine."""
    chosen = [name for name in suites if not words or any(word in name for word in words)]
    if not chosen:
        sys.exit(f"no suite is named like {', '.join(words)}; known: {', '.join(suites)}")
    for name in missing:
        print(f"{name} is not installed: left out")
    for name in chosen:
        print(f"\n{name}", flush=True)
        try:
            for row in suites[name]():
                print(f"  {shown(row)}", flush=True)
                keep(name, rounded(row), results, machine() | found)
        except ModuleNotFoundError as error:
            print(f"  left out: {error}; `make bench` installs it")


def keep(suite: str, row: dict[str, Any], path: Path, where: dict[str, Any]) -> None:
    """Write one row into the results, with the machine that it was measured on; rows of another are gone with it."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = results.get(suite, {"machine": where, "rows": []})
    is_same = all(known["machine"].get(part) == where.get(part) for part in ("cpu", "device"))
    rows = known["rows"] if is_same else []
    places = [i for i, old in enumerate(rows) if title(old) == title(row)]
    if places:
        rows[places[0]] = row
    else:
        rows.append(row)
    results[suite] = {"machine": where, "rows": rows}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def title(row: dict[str, Any]) -> str:
    """What was measured."""
    return ", ".join(str(row[key]) for key in ("case", "n", "size", "dtype", "how") if key in row)


def shown(row: dict[str, Any]) -> str:
    """One line: what was measured, then our time and the ratio to each peer."""
    times = [f"{name} {seconds * 1e3:.4g} ms" for name, seconds in row["seconds"].items()]
    ratios = [f"{ratio:.2f} × {name}" for name, ratio in row.get("ratio", {}).items()]
    return f"{title(row)}: {', '.join(times)}; {', '.join(ratios)}"


def rounded(value: Any) -> Any:
    """Four digits, which is more than repeats."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main(sys.argv[1:])
