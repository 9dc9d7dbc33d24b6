"""`python -m benchmarks [WORD …]`: measure all suites, or those whose names contain a word, and keep the numbers.

A row replaces the row of the same name in the results, so that a run that is cut short loses nothing.
"""

import json
import sys
from pathlib import Path
from typing import Any

from .harness import machine
from .suites import SUITES, missing_peers

RESULTS = Path(__file__).parent / "results" / "contract.json"


def main(words: list[str]) -> None:
    """Run the suites, print each row, and replace their part of the results."""
    chosen = [name for name in SUITES if not words or any(word in name for word in words)]
    if not chosen:
        sys.exit(f"no suite is named like {', '.join(words)}; known: {', '.join(SUITES)}")
    for name in missing_peers():
        print(f"{name} is not installed: left out")
    for name in chosen:
        print(f"\n{name}", flush=True)
        try:
            for row in SUITES[name]():
                print(f"  {shown(row)}", flush=True)
                keep(name, rounded(row))
        except ModuleNotFoundError as missing:
            print(f"  left out: {missing}; `make bench` installs it")


def keep(suite: str, row: dict[str, Any]) -> None:
    """Write one row into the results, with the machine that it was measured on."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    rows = results.get(suite, {"rows": []})["rows"]
    places = [i for i, old in enumerate(rows) if title(old) == title(row)]
    if places:
        rows[places[0]] = row
    else:
        rows.append(row)
    results[suite] = {"machine": machine(), "rows": rows}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
