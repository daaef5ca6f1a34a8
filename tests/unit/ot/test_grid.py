import pytest
import torch

from wmdd.core.errors import DataError, SettingsError
from wmdd.ot import GridProblem, solve_grid

SPACING = 0.05


def bump(centre: tuple[float, ...], width: float, cells: int = 40, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A Gaussian on a grid with its first cell at -1."""
    histogram = torch.ones((), dtype=torch.float64)
    for middle in centre:
        x = torch.arange(cells, dtype=torch.float64) * SPACING - 1
        histogram = histogram[..., None] * torch.exp(-((x - middle) ** 2) / (2 * width**2))
    return (histogram / histogram.sum()).to(dtype)


def moments(histogram: torch.Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation along each axis."""
    means, widths = [], []
    for axis in range(histogram.ndim):
        line = histogram.double().movedim(axis, 0).flatten(1).sum(1) if histogram.ndim > 1 else histogram.double()
        x = torch.arange(len(line), dtype=torch.float64) * SPACING - 1
        means.append(float(line @ x))
        widths.append(float(line @ (x - means[-1]).square()) ** 0.5)
    return means, widths


def halves(*rows: list[torch.Tensor]) -> GridProblem:
    histograms = torch.stack([torch.stack(row) for row in rows])
    return GridProblem(histograms, torch.ones(histograms.shape[:2]), SPACING)


# 0.002 is beyond what matrix products can do in either dtype, 0.02 beyond what they can do in float32.
@pytest.mark.parametrize("epsilon", [0.002, 0.02])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-4), (torch.float32, 1e-3)])
@pytest.mark.parametrize("debiased", [False, True])
def test_two_translated_bumps_have_the_one_in_the_middle(
    epsilon: float, dtype: torch.dtype, tolerance: float, debiased: bool
) -> None:
    """Of the same width if debiased, else blurred: the variance is ``epsilon / 2`` larger (arXiv 2006.02575)."""
    problem = halves([bump((-0.5, -0.4), 0.1, 28, dtype), bump((0.0, -0.2), 0.1, 28, dtype)])
    output = solve_grid(problem, epsilon=epsilon, tolerance=1e-6, debiased=debiased)
    width = (0.1**2 + (0 if debiased else epsilon / 2)) ** 0.5
    middle = bump((-0.25, -0.3), width, 28)
    assert output.histograms.dtype == dtype
    assert bool(output.converged.all())
    assert float((output.histograms[0] - middle).abs().sum()) < 2e-3  # at 0.002 the kernel is narrower than a cell
    means, widths = moments(output.histograms[0])
    assert means == pytest.approx([-0.25, -0.3], abs=tolerance)
    assert widths == pytest.approx([width, width], abs=tolerance)


def test_standard_deviations_are_averaged_by_the_shares() -> None:
    histograms = torch.stack([bump((0,), 0.1, 80), bump((0.5,), 0.3, 80)])[None]
    output = solve_grid(GridProblem(histograms, torch.tensor([[3.0, 1.0]]), SPACING), epsilon=0.01)
    means, widths = moments(output.histograms[0])
    assert means == pytest.approx([0.125], abs=0.01)  # the tails of the wide one are cut at -1
    assert widths == pytest.approx([0.15], abs=0.005)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_any_number_of_axes(dimensions: int) -> None:
    left, right = bump((-0.7,) * dimensions, 0.08, 20), bump((-0.4,) * dimensions, 0.08, 20)
    output = solve_grid(halves([left, right]), epsilon=0.02)
    assert output.histograms.shape == (1, *[20] * dimensions)
    assert moments(output.histograms[0])[0] == pytest.approx([-0.55] * dimensions, abs=1e-3)


def test_problems_of_a_batch_do_not_influence_one_another() -> None:
    easy = [bump((0, 0), 0.2, 24), bump((0, 0), 0.2, 24)]
    hard = [bump((-0.7, -0.7), 0.1, 24) + bump((0, 0), 0.2, 24), bump((-0.5, 0), 0.05, 24)]
    both = solve_grid(halves(easy, hard), epsilon=0.01)
    assert both.iterations[0] < both.iterations[1]
    for b, row in enumerate((easy, hard)):
        alone = solve_grid(halves(row), epsilon=0.01)
        assert alone.iterations[0] == both.iterations[b]
        torch.testing.assert_close(alone.histograms[0], both.histograms[b])


def test_empty_cells_and_shares_of_zero() -> None:
    point = torch.zeros(10, 10, dtype=torch.float64)
    point[2, 3] = 5  # histograms need not sum to 1
    other = torch.zeros(10, 10, dtype=torch.float64)
    other[6, 5] = 1
    shares = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    output = solve_grid(GridProblem(torch.stack([point, other]).expand(2, 2, 10, 10), shares), epsilon=1.0)
    torch.testing.assert_close(output.histograms.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    assert int(output.histograms[0].argmax()) == 4 * 10 + 4
    torch.testing.assert_close(output.histograms[1], point / 5, atol=0.05, rtol=0)  # a point is approached slowly


def test_too_few_iterations_are_reported() -> None:
    output = solve_grid(halves([bump((-0.9,), 0.05), bump((0.9,), 0.05)]), epsilon=0.005, iterations=3)
    assert not output.converged.any()
    assert output.iterations.tolist() == [3]
    assert float(output.error.max()) > 1e-4
    for part in ("1 barycenters of 40 cells", "0 converged", "3 iterations"):
        assert part in repr(output)


def test_bad_input_is_refused() -> None:
    good, shares = torch.ones(1, 2, 4, 4), torch.ones(1, 2)
    for histograms, weights, sentence in [
        (torch.ones(4, 4), shares, "histograms must be"),
        (good.int(), shares, "float32 or float64"),
        (good, torch.ones(2), r"shares must have the shape \[1, 2\]"),
        (-good, shares, "histograms must be finite and non-negative"),
        (good * torch.nan, shares, "histograms must be finite"),
        (torch.zeros(1, 2, 4, 4), shares, "histograms must each have a positive sum"),
        (good, torch.zeros(1, 2), "shares must each have a positive sum"),
    ]:
        with pytest.raises(DataError, match=sentence):
            GridProblem(histograms, weights)
    with pytest.raises(SettingsError, match="spacing must be a positive number"):
        GridProblem(good, shares, spacing=0)
    with pytest.raises(SettingsError, match="epsilon must be a positive number"):
        solve_grid(GridProblem(good, shares), epsilon=-1)
    with pytest.raises(SettingsError, match="tolerance must be a positive number"):
        solve_grid(GridProblem(good, shares), epsilon=1, tolerance=0)
    with pytest.raises(SettingsError, match="iterations must be at least 1"):
        solve_grid(GridProblem(good, shares), epsilon=1, iterations=0)
