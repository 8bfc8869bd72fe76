"""What `benchmarks/vectors.py` is made of: sets of vectors and texts, the peers, the measuring, the telling."""
