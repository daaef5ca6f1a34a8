import pytest
import torch

from wmdd.storage.transform import CodeBook, encode, share_bits


def correlated(rows: int, width: int, seed: int = 0) -> torch.Tensor:
    """Two blocks of rows whose spectrum decays, around a mean."""
    draw = torch.Generator().manual_seed(seed)
    scales = torch.arange(1, width + 1) ** -0.5
    turn = torch.linalg.qr(torch.randn(width, width, generator=draw))[0]
    return torch.randn(2, rows, width, generator=draw) * scales @ turn + torch.randn(width, generator=draw)


def decoded(book: CodeBook, codes: torch.Tensor) -> torch.Tensor:
    return torch.stack([book.decode(block) for block in codes])


@pytest.mark.parametrize("bits", [[1], [8], [3, 2, 1], [8, 8, 5, 2, 1, 1, 1, 1, 1]])
def test_levels_of_any_bits_are_packed_and_read_as_they_were(bits: list[int]) -> None:
    book = CodeBook(
        mean=torch.zeros(len(bits)),
        basis=torch.eye(len(bits), dtype=torch.int8),
        step=torch.ones(len(bits)),
        bits=torch.tensor(bits, dtype=torch.uint8),
    )
    draw = torch.Generator().manual_seed(0)
    levels = torch.stack([torch.randint(2**b, (50,), generator=draw) for b in bits], dim=1).int()
    levels[0], levels[1] = 0, 2.0 ** torch.tensor(bits) - 1
    codes = book.pack(levels)
    assert codes.dtype == torch.uint8
    assert codes.shape == (50, -(-sum(bits) // 8))
    middle = (2.0 ** torch.tensor(bits) - 1) / 2
    assert torch.equal(book.decode(codes), levels - middle)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_the_error_is_the_wanted_one_and_costs_more_bytes_the_smaller_it_is(share: float) -> None:
    rows = correlated(2000, 40)
    size = float((rows - rows.mean((0, 1))).square().sum(-1).mean())
    book, codes = encode(rows, share * size)
    error = float((decoded(book, codes) - rows).square().sum(-1).mean())
    assert error == pytest.approx(share * size, rel=0.08)
    assert codes.shape[-1] < encode(rows, share * size / 4)[1].shape[-1]
    assert book.basis.shape == (len(book.bits), 40)
    assert (book.bits.int().diff() <= 0).all()


def test_heavy_tails_cost_accuracy_but_are_not_cut_off_where_most_of_the_size_lies() -> None:
    rows = correlated(2000, 20)
    rows[:, ::50] *= 8
    size = float(rows.square().sum(-1).mean())
    book, codes = encode(rows, 0.02 * size)
    assert float((decoded(book, codes) - rows).square().sum(-1).mean()) < 0.022 * size


def test_bits_go_to_the_leading_directions() -> None:
    assert share_bits([16.0, 4.0, 1.0, 0.0], 1.5, 10**9) == [3, 2, 1]
    assert share_bits([1.0, 1.0], 2, 10) == []
    assert share_bits([0.0, 0.0], 0, 10) == []
    assert share_bits([1.0], 0, 10) == [8]  # it cannot be met: as many as there are


def test_a_direction_must_be_worth_its_row_of_the_basis() -> None:
    variances = [4.0] + [1.0] * 19
    many, few = share_bits(variances, 2.0, 10**6), share_bits(variances, 2.0, 20)
    assert len(few) <= len(many)
    assert sum(few) >= sum(many)


def test_rows_that_are_all_the_same_need_no_bytes() -> None:
    rows = torch.arange(3.0).expand(2, 5, 3)
    book, codes = encode(rows, 0.0)
    assert codes.shape == (2, 5, 0)
    torch.testing.assert_close(decoded(book, codes), rows)
