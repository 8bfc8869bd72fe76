"""What sqlite-vec's newest alpha adds: a faster scan, rescored codes, DiskANN. It is run by a Python of its own."""

from __future__ import annotations

from typing import Any

from .sqlite_vec_flat import Flat


class FlatOnAlpha(Flat):
    name = "alpha-flat"
    title = "sqlite-vec's alpha, flat"
    alpha = True


class _Tuned(Flat):
    """An index whose setting is changed by a command put into the table."""

    alpha = True
    command: str

    def turn(self, knob: Any) -> None:
        self._connection.execute(f"insert into {self.table} ({self.table}) values (?)", (f"{self.command}={knob}",))

    def told(self, knob: Any) -> str:
        return f"{self.command}={knob}"


class RescoreBit(_Tuned):
    """One bit per dimension, the best of them compared again in full."""

    name = "alpha-rescore-bit"
    title = "sqlite-vec's alpha, rescore bit"
    declared = "indexed by rescore(quantizer=bit, oversample=8)"
    command = "oversample"
    knobs = (8, 16, 32, 64, 128)


class RescoreInt8(_Tuned):
    """One byte per dimension, the best of them compared again in full."""

    name = "alpha-rescore-int8"
    title = "sqlite-vec's alpha, rescore int8"
    declared = "indexed by rescore(quantizer=int8, oversample=2)"
    command = "oversample"
    knobs = (2, 4, 8, 16)


class DiskAnn(_Tuned):
    """A graph over the vectors, in the file."""

    name = "alpha-diskann"
    title = "sqlite-vec's alpha, diskann"
    declared = "indexed by diskann(neighbor_quantizer=int8, n_neighbors=48, search_list_size_insert=64)"
    command = "search_list_size_search"
    knobs = (32, 48, 64, 96, 128, 192, 256, 384, 512)
