from pathlib import Path

import numpy as np
import pytest
import torch

from wmdd.core.errors import DataError
from wmdd.ot import BarycenterProblem, solve
from wmdd.storage.mapped import MappedRows


def test_barycenters_of_features_on_disk_are_those_of_features_in_memory(tmp_path: Path) -> None:
    points = np.random.default_rng(0).standard_normal((70, 5)).astype(np.float32)
    np.save(tmp_path / "features.npy", points)
    rows = MappedRows(tmp_path / "features.npy")
    assert torch.equal(rows[3:9], torch.from_numpy(points[3:9]))
    on_disk = solve(BarycenterProblem(rows, 4, (40, 30)), "exact")
    in_memory = solve(BarycenterProblem(torch.from_numpy(points), 4, (40, 30)), "exact")
    assert torch.equal(on_disk.atoms, in_memory.atoms)


def test_what_is_not_a_matrix_of_floats_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", np.arange(6).reshape(2, 3))
    np.save(tmp_path / "flat.npy", np.zeros(3, dtype=np.float32))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    for name, sentence in (("whole", "not int64"), ("flat", r"float32 \[3\]"), ("objects", "can"), ("text", "can")):
        with pytest.raises(DataError, match=sentence):
            MappedRows(tmp_path / f"{name}.npy")
    with pytest.raises(DataError, match="No such file"):
        MappedRows(tmp_path / "nowhere.npy")


def test_rows_that_are_not_finite_are_refused_when_they_are_read(tmp_path: Path) -> None:
    points = np.zeros((6, 2), dtype=np.float32)
    points[4] = np.nan
    np.save(tmp_path / "features.npy", points)
    problem = BarycenterProblem(MappedRows(tmp_path / "features.npy"), 1, (3, 3))
    with pytest.raises(DataError, match="finite"):
        solve(problem, "exact")


def test_archives_and_nonsense_in_headers_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npy", np.eye(2))
    (tmp_path / "x.npy.npz").rename(tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"x\.npy is not a NumPy file that can be read"):
        MappedRows(tmp_path / "x.npy")
    for header in (b"((((", b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,", b"\0"):
        (tmp_path / "y.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        with pytest.raises(DataError, match=r"y\.npy is not a NumPy file"):
            MappedRows(tmp_path / "y.npy")
