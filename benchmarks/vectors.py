"""Speed, side by side: ours and the peers over the same vectors, one run, each in a process of its own.

    python benchmarks/vectors.py                                  100,000 x 256, every peer
    python benchmarks/vectors.py --rows 1000000 --dimensions 768 --only ours,flat-in-our-file,usearch
    python benchmarks/vectors.py --given minilm --rows 50000      vectors that embed.py made with another model
    python benchmarks/vectors.py --words                          keyword and hybrid search, and the JSON page
    python benchmarks/vectors.py --curve 1000,10000,100000,1000000    ours at several sizes
    python benchmarks/vectors.py --codes                          int8, bit and pca codes beside float32
    python benchmarks/vectors.py --page docs/speed.md             tables and plots of all results so far; nothing is run

Results are kept in `benchmarks/results`, by which `--page` knows them. What the peers need is in
`benchmarks/requirements.txt`; a peer that is not there, or fails, is a line that says so. sqlite-vec's newest alpha
lives in an environment of its own, whose Python `--alpha-python` names. Vectors and texts are made once and kept in
`--place`. They are real where there are enough: passages up to 142,000, windows up to 1,195,000.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speed import results
from speed.codes import codes
from speed.compare import Manner, compare
from speed.page import write_page
from speed.peers import PEERS
from speed.sets import MODEL_DIMENSIONS, VectorSet, given_set, text_set, vector_set
from speed.tables import codes_table, curve_table, peers_table, words_table
from speed.targets import targets_table
from speed.words import words


def main() -> None:
    options = arguments()
    if options.page is not None:
        write_page(options.page)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = options.place or Path(folder)
        manner = Manner(place, options.alpha_python, options.limit, options.seconds)
        if options.curve:
            for rows in options.curve:
                texts = text_set(manner.place, rows, windows=True)
                run_words("curve", texts, ("ours",), manner, save=options.results)
            print(curve_table(results.load("curve", folder=options.results)))
        elif options.words:
            texts = text_set(manner.place, options.rows)
            print(words_table(run_words("words", texts, ("ours", "lancedb"), manner, save=options.results)))
        elif options.codes:
            run_codes(vectors_of(options, place), manner, save=options.results)
        else:
            run_vectors(vectors_of(options, place), options.only, manner, save=options.results)
    comparisons, curve = (results.load(kind, folder=options.results) for kind in ("vectors", "curve"))
    print(f"\n{targets_table(comparisons, curve)}")


def vectors_of(options: argparse.Namespace, place: Path) -> VectorSet:
    if options.given is not None:
        return given_set(place, options.rows, options.given)
    return vector_set(place, options.rows, options.dimensions, by_recipe=options.by_recipe)


def run_vectors(vectors: VectorSet, names: Sequence[str], manner: Manner, *, save: Path) -> None:
    """Measure peers, keeping each result at once; peers that are not named keep the figures of an earlier run."""
    print(f"{vectors.kind}; intrinsic dimension {vectors.intrinsic}", file=sys.stderr)
    kept = [each for each in results.load("vectors", folder=save) if each["set"] == described(vectors)]
    found = {record["name"]: record for result in kept for record in result["peers"]}
    result: dict[str, Any] = {"peers": []}
    for record in compare(vectors, names, manner, list(found.values())):
        found[record["name"]] = record
        ordered = [found[name] for name in PEERS if name in found]
        result = results.save("vectors", sized(vectors), {"set": described(vectors), "peers": ordered}, folder=save)
    print(f"\n{peers_table(result)}")


def run_words(kind: str, texts: VectorSet, names: tuple[str, ...], manner: Manner, *, save: Path) -> dict[str, object]:
    found = words(texts, names, manner)
    return results.save(kind, str(texts.rows), {"set": described(texts), "peers": found}, folder=save)


def run_codes(vectors: VectorSet, manner: Manner, *, save: Path) -> None:
    found = codes(vectors, manner.place, seconds=manner.seconds)
    result = results.save("codes", sized(vectors), {"set": described(vectors), "codes": found}, folder=save)
    print(codes_table(result))


def sized(made: VectorSet) -> str:
    return f"{made.dimensions}-{made.rows}"


def described(made: VectorSet) -> dict[str, object]:
    """Return what is told of a set: not where it lies."""
    return {name: value for name, value in asdict(made).items() if name != "folder"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=MODEL_DIMENSIONS)
    parser.add_argument("--by-recipe", action="store_true", help="generated vectors also where there are real ones")
    parser.add_argument("--given", type=Path, help="a folder that embed.py wrote: its vectors, as many as --rows")
    parser.add_argument("--only", type=peers, default=list(PEERS), help=f"peers, of: {', '.join(PEERS)}")
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--curve", type=sizes, help="numbers of rows")
    parser.add_argument("--codes", action="store_true")
    parser.add_argument("--page", type=Path)
    parser.add_argument(
        "--alpha-python", help="a Python with sqlite-vec's newest alpha, and this package's dependencies"
    )
    parser.add_argument(
        "--place", type=Path, help="a folder for vectors and the peers' files; a temporary one if not given"
    )
    parser.add_argument("--results", type=Path, default=results.RESULTS)
    parser.add_argument(
        "--limit", type=float, default=1_800, help="seconds that a peer may take to build, or to be asked"
    )
    parser.add_argument("--seconds", type=float, default=60, help="seconds for the measured queries of a peer together")
    return parser.parse_args()


def peers(text: str) -> list[str]:
    """Return names in the order in which they are run."""
    named = text.split(",")
    unknown = [name for name in named if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are: {', '.join(PEERS)}")
    return [name for name in PEERS if name in named]


def sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


if __name__ == "__main__":
    main()
