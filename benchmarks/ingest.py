"""How long `embed` takes beside what the bare model needs for the same texts, and how much memory.

    python benchmarks/ingest.py                       12,593 films, if the collections are there, else generated rows
    python benchmarks/ingest.py --rows 100000         as many rows, the films repeated with a number behind each
    python benchmarks/ingest.py --rows 1000000
    python benchmarks/ingest.py --waits               how long another writer waits meanwhile

Three times are told: wordllama's own `embed`, our reading of its weights, and the whole run of `embed`, from the table
to a searchable index.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

FILMS = Path(__file__).parents[2] / "shared" / "corpora" / "movies-facets" / "docs.jsonl.gz"


def texts(rows: int | None) -> Iterator[tuple[str, str]]:
    """Yield (title, text); the same ones in every run."""
    if FILMS.exists():
        with gzip.open(FILMS, "rt", encoding="utf-8") as lines:
            films = [(film.get("title") or "", film.get("text") or "") for film in map(json.loads, lines)]
    else:
        words = "robot garden harbour steam engine apple frost letter keeper night century machine ship lamp".split()
        films = [(f"Film {n}", " ".join(words[(n * k) % len(words)] for k in range(1, 90))) for n in range(12_593)]
    if rows is None:
        yield from films
        return
    for n in range(rows):
        title, text = films[n % len(films)]
        yield title, f"{text} {n}"


def write(path: Path, rows: int | None) -> int:
    """Write the table `films`; return its number of rows."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("create table films (id integer primary key, title text, text text)")
        connection.executemany("insert into films (title, text) values (?, ?)", texts(rows))
    (count,) = connection.execute("select count(*) from films").fetchone()
    connection.close()
    return int(count)


def bare(rows: int | None) -> float:
    """Seconds that wordllama itself takes for the texts, in batches so that its memory stays in bounds."""
    import wordllama

    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    joined = (f"{title}\n{text}" for title, text in texts(rows))
    seconds = 0.0
    while batch := list(islice(joined, 10_000)):
        began = time.perf_counter()
        model.embed(batch, norm=True)
        seconds += time.perf_counter() - began
    return seconds


def weights(rows: int | None) -> float:
    """Seconds that our own reading of the same weights takes."""
    from datasette_semantic.embedding.weights import load

    model = load()
    joined = (f"{title}\n{text}" for title, text in texts(rows))
    seconds = 0.0
    while batch := list(islice(joined, 512)):
        began = time.perf_counter()
        model.embed(batch)
        seconds += time.perf_counter() - began
    return seconds


def whole(path: Path) -> tuple[float, float]:
    """Seconds of the whole run, and megabytes of its own memory at its highest: the file is mapped, which is not
    counted."""
    code = (
        "import sys, time; from datasette_semantic import SemanticIndex; began = time.perf_counter(); "
        "index = SemanticIndex.create(sys.argv[1], 'films', ['title', 'text']); index.update(); "
        "print(time.perf_counter() - began)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    highest = 0.0
    while process.poll() is None:
        highest = max(highest, own_megabytes(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    assert process.stdout is not None
    return float(process.stdout.read()), highest


def own_megabytes(pid: int) -> float:
    """Megabytes that a process holds besides mapped files; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def waits(path: Path) -> list[float]:
    """Milliseconds that each insert of another program takes while `embed` works."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    code = (
        "import sys; from datasette_semantic import SemanticIndex; "
        "SemanticIndex.create(sys.argv[1], 'films', ['title', 'text']).update()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)])
    taken = []
    while process.poll() is None:
        began = time.perf_counter()
        connection.execute("insert into films (title, text) values ('written meanwhile', 'by another program')")
        taken.append(1000 * (time.perf_counter() - began))
        time.sleep(0.02)
    connection.close()
    return sorted(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--waits", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "films.db"
        count = write(path, arguments.rows)
        if arguments.waits:
            taken = waits(path)
            print(
                f"{len(taken)} writes: half under {taken[len(taken) // 2]:.0f} ms, "
                f"99% under {taken[int(len(taken) * 0.99)]:.0f} ms, longest {taken[-1]:.0f} ms"
            )
            return
        model, ours, (run, megabytes) = bare(arguments.rows), weights(arguments.rows), whole(path)
        print(f"{count:,} rows")
        print(f"wordllama's embed  {model:7.1f} s")
        print(f"the weights alone  {ours:7.1f} s")
        print(f"embed, whole run   {run:7.1f} s  {run / model:.2f} times wordllama, {count / run:,.0f} rows a second")
        print(f"memory, highest    {megabytes:7.0f} MB")


if __name__ == "__main__":
    main()
