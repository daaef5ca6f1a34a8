"""The barycenter solvers against scikit-learn, POT and the published algorithm: cost, time, scale, certificates.

    python benchmarks/barycenters.py RUN [RUN ...] --json FILE     on the features of finished runs (statistics stage)
    python benchmarks/barycenters.py --scale --json FILE           1000 generated classes, memory-mapped (3 GB of disk)

Everything that is compared is measured in the same process, in turns. Times are of all classes of a run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import ot
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bars import Bar, Bars
from paired import in_turns, timed
from wmdd.ot import BarycenterOutput, BarycenterProblem, Method, solve, solve_exact, squared_distances
from wmdd.ot.balanced import random_points
from wmdd.ot.ordering import in_canonical_order
from wmdd.ot.ragged import centred
from wmdd.pipeline.artifacts import load_statistics
from wmdd.pipeline.run_directory import RunDirectory

ATOMS = (1, 10, 50, 100)
RESTARTS = 10  # of all methods that have any; the solvers' own default
TIMED_ATOMS, TIMED_RESTARTS, REPEATS = (10, 50), (1, 4, 10), 7
PACKAGES = ("torch", "scikit-learn", "pot", "scipy")
CLASSES, POINTS, WIDTH = 1000, 1300, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--scale", action="store_true", help="measure 1000 generated classes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        scale_child(Path(arguments.child[0]), int(arguments.child[1]))
        return
    bars = Bars(PACKAGES)
    for run in arguments.runs:
        name, classes = features_of(run)
        compare_costs(bars, name, classes)
        compare_times(bars, name, classes)
        check_invariance(bars, name, classes)
        measure_floor(bars, name, classes)
    if arguments.scale:
        measure_scale(bars)
    if arguments.json:
        bars.write(arguments.json)


def features_of(run: Path) -> tuple[str, list[Tensor]]:
    """The name of a run's data and the features of its classes."""
    directory = RunDirectory(run)
    statistics = load_statistics(directory, range(len(directory.data()["classes"])))
    return Path(directory.config().data.source).name, [statistics.features_of(k) for k in statistics.classes]


def problem_of(classes: list[Tensor], m: int) -> BarycenterProblem:
    return BarycenterProblem(torch.cat(classes), m, tuple(map(len, classes)))


def as_published(problem: BarycenterProblem, rounds: int = 10) -> BarycenterOutput:
    return solve(problem, "paper", restarts=1, iterations=rounds)


# --- cost and certificates (bars 1, 2, 6) -----------------------------------------------------------------------------


def compare_costs(bars: Bars, name: str, classes: list[Tensor]) -> None:
    for m in ATOMS:
        problem = problem_of(classes, m)
        exact = solve(problem, "exact", restarts=RESTARTS)
        uniform, paper = solve(problem, "uniform", restarts=RESTARTS), as_published(problem)
        once = solve(problem, "exact", restarts=1)
        pot = torch.tensor([min(pot_costs(points, m)) for points in classes], dtype=torch.float64)
        others = {
            "scikit-learn": torch.tensor([kmeans_cost(points, m) for points in classes], dtype=torch.float64),
            "POT": pot,
            "paper, K = 10": paper.cost,
            "paper, K = 200": as_published(problem, 200).cost,
            "uniform": uniform.cost,
        }
        best = torch.stack(list(others.values())).amin(0)
        where = f"{name}, m = {m}"
        bars.add(
            Bar(
                "barycenters.1",
                f"exact / best of the others, worst class, {where}",
                worst(exact.cost, best),
                1.001,
                "lower",
            )
        )
        what = f"exact / paper (K = 10), one start each, worst class, {where}"
        bars.add(Bar("barycenters.1", what, worst(once.cost, paper.cost), 1 + 1e-6, "lower"))
        bars.add(
            Bar("barycenters.2", f"uniform / POT, worst class, {where}", worst(uniform.cost, pot), 1 + 1e-6, "lower")
        )
        for method, output in (("uniform", uniform), ("paper", paper)):
            what = f"{method}: duality gap / cost, worst class, {where}"
            bars.add(Bar("barycenters.6", what, largest_gap(problem, output), 1e-6, "lower"))
        means = {other: f"{float(cost.mean()):.4f}" for other, cost in others.items()}
        bars.note(f"mean W2^2, {where}", exact=f"{float(exact.cost.mean()):.4f}", **means)


def worst(mine: Tensor, theirs: Tensor) -> float:
    """The largest ratio over the classes."""
    return float((mine / theirs).max())


def kmeans_cost(points: Tensor, m: int) -> float:
    return float(KMeans(m, n_init=RESTARTS, random_state=0).fit(points.double().numpy()).inertia_) / len(points)


def pot_costs(points: Tensor, m: int) -> list[float]:
    """POT's barycenter from the very points of the class that ``uniform`` starts from (seed 0)."""
    masses = torch.full((len(points),), 1 / len(points), dtype=torch.float64)
    order = in_canonical_order(centred([(points, masses)], points.dtype)[0])
    points = points.double() - points.double().mean(0)
    ordered = points[order]
    uniform = np.full(m, 1 / m)
    costs = []
    for start in random_points(ordered, m, RESTARTS, torch.Generator().manual_seed(0)):
        atoms = ot.lp.free_support_barycenter([points.numpy()], [masses.numpy()], start.numpy(), b=uniform)
        costs.append(float(ot.emd2(uniform, masses.numpy(), ot.dist(atoms, points.numpy()))))
    return costs


def largest_gap(problem: BarycenterProblem, output: BarycenterOutput) -> float:
    """How far the dual bound stays below the cost, relative, potentials made feasible first; worst class."""
    gaps = []
    for g, (points, masses) in enumerate(problem.measures()):
        cost = squared_distances(output.atoms[g].double(), points.double())
        beta = output.duals[g].beta
        alpha = torch.minimum(output.duals[g].alpha, (cost - beta[:, None]).amin(0))
        weights = output.weights[g].double()
        bound = float(weights @ beta / weights.sum() + masses @ alpha)
        gaps.append(abs(float(output.cost[g]) - bound) / float(output.cost[g]))
    return max(gaps)


# --- time (bar 3) -----------------------------------------------------------------------------------------------------


def k_means(classes: Sequence[Tensor], m: int, restarts: int) -> None:
    """What scikit-learn does for the same."""
    for points in classes:
        KMeans(m, n_init=restarts, random_state=0).fit(points.numpy())


def compare_times(bars: Bars, name: str, classes: list[Tensor]) -> None:
    for m in TIMED_ATOMS:
        problem = problem_of(classes, m)
        tasks: dict[str, Callable[[], object]] = {"paper": partial(as_published, problem)}
        for restarts in TIMED_RESTARTS:
            tasks[f"exact {restarts}"] = partial(solve, problem, "exact", restarts=restarts)
            tasks[f"scikit-learn {restarts}"] = partial(k_means, classes, m, restarts)
        seconds = in_turns(tasks, REPEATS)
        seconds["uniform"] = timed(partial(solve, problem, "uniform", restarts=RESTARTS))
        where = f"{name}, m = {m}"
        for restarts in TIMED_RESTARTS:
            mine = seconds[f"exact {restarts}"]
            starts = "1 start" if restarts == 1 else f"{restarts} starts"
            what = f"time of paper (K = 10, 1 start) / exact ({starts}), {where}"
            bars.add(Bar("barycenters.3", what, seconds["paper"] / mine, 10, "higher"))
            what = f"time of scikit-learn / exact, {starts} each, {where}"
            bars.add(Bar("barycenters.3", what, seconds[f"scikit-learn {restarts}"] / mine, 1, "higher"))
        per_class = {task: round(1000 * time / len(classes), 2) for task, time in seconds.items()}
        bars.note(f"milliseconds a class, {where}", **per_class)


# --- invariance (bar 7) -----------------------------------------------------------------------------------------------


def check_invariance(bars: Bars, name: str, classes: list[Tensor]) -> None:
    methods: tuple[Method, ...] = ("exact", "uniform", "paper")
    m, threads = 10, torch.get_num_threads()
    shuffled = [points[torch.randperm(len(points), generator=torch.Generator().manual_seed(1))] for points in classes]
    for method in methods:

        def costs(classes: list[Tensor], method: Method = method) -> Tensor:
            return solve(problem_of(classes, m), method, restarts=4, iterations=10 if method == "paper" else 100).cost

        together = costs(classes)
        where = f"{method}, {name}, m = {m}"
        alone = torch.cat([costs([points]) for points in classes])
        bars.add(Bar("barycenters.7", f"cost in a batch and alone, {where}", change(together, alone), 1e-6, "lower"))
        torch.set_num_threads(1)
        single = costs(classes)
        torch.set_num_threads(threads)
        bars.add(
            Bar("barycenters.7", f"cost with {threads} threads and 1, {where}", change(together, single), 1e-6, "lower")
        )
        moved = change(together, costs(shuffled))
        bars.add(Bar("barycenters.7", f"cost with points in another order, {where}", moved, 0.01, "lower"))


def change(first: Tensor, second: Tensor) -> float:
    """The largest relative difference over the classes."""
    return float(((first - second).abs() / first).max())


# --- outliers ---------------------------------------------------------------------------------------------------------


def measure_floor(bars: Bars, name: str, classes: list[Tensor]) -> None:
    """What free weights spend on outliers, and what a floor under the weights costs; also with strong outliers."""
    strong = [far_away(points) for points in classes]
    for kind, data in ((name, classes), (f"{name}, 1 % of the points ten times as far out", strong)):
        for m in (10, 50):
            problem = problem_of(data, m)
            found = {method: solve(problem, method, restarts=4) for method in ("exact", "floored", "uniform")}
            for method, output in found.items():
                bars.note(
                    f"{method}, {kind}, m = {m}",
                    cost=f"{float(output.cost.mean()):.4f}",
                    smallest_weight_times_m=f"{float(output.weights.min() * m):.3f}",
                    atoms_below_a_quarter_of_1_m=f"{100 * float((output.weights * m < 0.25).float().mean()):.1f} %",
                )


def far_away(points: Tensor) -> Tensor:
    centre, outliers = points.mean(0), max(1, len(points) // 100)
    moved = points.clone()
    moved[:outliers] = centre + 10 * (points[:outliers] - centre)
    return moved


# --- scale (bar 4) ----------------------------------------------------------------------------------------------------


def measure_scale(bars: Bars) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "features.npy"
        generate(path)
        for m in (10, 50, 100):
            command = [sys.executable, __file__, "--child", str(path), str(m)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            what = f"{CLASSES} x {POINTS} x {WIDTH}, m = {m}, 4 starts"
            if m == 10:
                bars.add(Bar("barycenters.4", f"seconds, {what}", found["seconds"], 120, "lower"))
                bars.add(Bar("barycenters.4", f"resident GB, {what}", found["resident_gb"], 3, "lower"))
            bars.note(what, **found)


def generate(path: Path) -> None:
    """Classes of a few clusters each, with a spectrum that decays as those of trained features do."""
    generator = np.random.default_rng(0)
    features = np.lib.format.open_memmap(path, "w+", np.float32, (CLASSES * POINTS, WIDTH))
    scales = (1 + np.arange(WIDTH, dtype=np.float32)) ** -0.5
    for k in range(CLASSES):
        centres = generator.standard_normal((8, WIDTH), dtype=np.float32)[generator.integers(8, size=POINTS)]
        points = scales * (centres + generator.standard_normal((POINTS, WIDTH), dtype=np.float32))
        features[k * POINTS : (k + 1) * POINTS] = np.maximum(points + 0.3, 0)


class Mapped:
    """The matrix in ``path``, float32 ``[N, D]``, as :class:`wmdd.ot.Rows`.

    It is mapped anew for each slice: pages of a mapping that stays open would count as memory of the process.
    """

    dtype = torch.float32

    def __init__(self, path: Path) -> None:
        self.path, self.shape = path, torch.Size(np.load(path, mmap_mode="r").shape)

    def __getitem__(self, rows: slice) -> Tensor:
        return torch.from_numpy(np.array(np.load(self.path, mmap_mode="r")[rows]))


def scale_child(path: Path, m: int) -> None:
    """Solve in a process of its own, so that its memory is what it reports."""
    rows = Mapped(path)
    problem = BarycenterProblem(rows, m, (POINTS,) * CLASSES)
    began = time.perf_counter()
    output = solve(problem, "exact", restarts=4)
    seconds = time.perf_counter() - began
    resident = peak_resident()
    sample = range(10)
    with FlopCounterMode(display=False) as counter:
        solve_exact(problem.select(sample), seed=0, restarts=4, iterations=100)
    flops = counter.get_total_flops() * CLASSES / len(sample)
    peak = product_rate()
    result = {
        "seconds": round(seconds, 1),
        "resident_gb": round(resident, 2),
        "mean_cost": round(float(output.cost.mean()), 4),
        "converged": int(output.converged.sum()),
        "products_tflop": round(flops / 1e12, 2),
        "gflops_reached": round(flops / seconds / 1e9, 1),
        "gflops_of_the_machine": round(peak / 1e9, 1),
        "share_of_the_machine": round(flops / seconds / peak, 3),
    }
    print(json.dumps(result))


def peak_resident() -> float:
    """The most memory this process has had resident, in GiB; ``getrusage`` would count that of the one it came from."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 2**20


def product_rate() -> float:
    """Operations a second of a large float32 matrix product."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    best = min(timed(lambda: a @ b) for _ in range(10))
    return 2 * 2048**3 / best


if __name__ == "__main__":
    main()
