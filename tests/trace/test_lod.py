import numpy as np
import pytest

from graddebug.trace import lod


def level(table: np.ndarray, bucket: int) -> np.ndarray:
    found = next(level for level in lod.levels(table.shape[2]) if level.bucket == bucket)
    return np.asarray(lod.build(table)[0, 0, :, found.start : found.stop])


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 128, 1000])
def test_levels_end_with_one_bucket(rows: int) -> None:
    """The coarsest level is one bucket, and the levels fill the array."""
    table = np.zeros((2, 3, rows), dtype=np.float32)
    last = lod.levels(rows)[-1]
    assert last.stop - last.start == 1
    assert lod.build(table).shape == (2, 3, 3, last.stop)


def test_low_high_and_mean_of_each_bucket() -> None:
    """Each bucket says what its rows hold."""
    values = np.random.default_rng(0).normal(size=200).astype(np.float32)
    found = level(values.reshape(1, 1, -1), 64)
    parts = [values[start : start + 64] for start in range(0, 200, 64)]
    assert found[lod.LOW].tolist() == [part.min() for part in parts]
    assert found[lod.HIGH].tolist() == [part.max() for part in parts]
    assert np.allclose(found[lod.MEAN], [part.mean() for part in parts], atol=1e-6)


def test_coarse_means_weigh_a_short_last_bucket() -> None:
    """The mean of 64 ones and one 66 is 2: a mean of means would be 33.5."""
    values = np.array([1.0] * 64 + [66.0], dtype=np.float32)
    assert level(values.reshape(1, 1, -1), 128)[lod.MEAN].tolist() == [2.0]


def test_unmeasured_rows_are_left_out() -> None:
    """NaN does not hide what else is in a bucket; a bucket of NaN is NaN."""
    values = np.full(128, np.nan, dtype=np.float32)
    values[3] = 5
    found = level(values.reshape(1, 1, -1), 64)
    assert found[:, 0].tolist() == [5, 5, 5]
    assert np.isnan(found[:, 1]).all()


def test_infinities_show() -> None:
    """A gradient that went to inf and -inf shows both, without a warning."""
    values = np.array([1, np.inf, -np.inf], dtype=np.float32).reshape(1, 1, -1)
    assert level(values, 64)[:2, 0].tolist() == [-np.inf, np.inf]


def test_no_rows_no_buckets() -> None:
    """An empty segment has no levels."""
    assert lod.build(np.empty((2, 9, 0), dtype=np.float32)).shape == (2, 9, 3, 0)


def test_fold_keeps_extremes() -> None:
    """Whatever the number of points, the extremes of a series stay in sight."""
    steps = np.arange(1000)
    values = np.zeros(1000, dtype=np.float32)
    values[[17, 901]] = [-3, 8]
    folded, low, high = lod.fold(steps, values, values, points=7)
    assert len(folded) == len(low) == len(high) == 7
    assert (low.min(), high.max()) == (-3, 8)


def test_checksum_sees_any_flipped_bit() -> None:
    """One flipped bit changes the checksum of its row only."""
    table = np.random.default_rng(0).normal(size=(2, 3, 50)).astype(np.float32)
    before = lod.checksum(table)
    table.view(np.uint32)[1, 2, 33] ^= 1 << 9
    assert (lod.checksum(table) != before).tolist() == [[False] * 3, [False, False, True]]
