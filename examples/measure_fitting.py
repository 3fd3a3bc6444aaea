"""Measure fitted plans against every solver on every schedule, at equally many evaluations.

    python examples/measure_fitting.py                         # one mixture, less than a minute
    python examples/measure_fitting.py docs/diffusion/fitting.md   # all; writes its tables

How near runs of few evaluations end to where the probability flow ends: the root mean square over
noise that nothing was fitted to. `PROBLEMS` says what is measured: add a denoiser of your own.
"""

import math
import re
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path as File
from typing import Any, NamedTuple

import numpy as np
import torch
from sortes.diffusion import (
    Fitted,
    GaussianMixture,
    Path,
    Plan,
    betas,
    fit_plan,
    fit_schedule,
    fit_steps,
    noise_like,
    plan,
    sample,
    schedule,
    sigmas_ays,
)
from sortes.diffusion.solvers import ALIASES, SOLVERS

TRAINED = np.cumprod(1 - betas(kind="scaled_linear"))
TOP = float(np.sqrt((1 - TRAINED[-1]) / TRAINED[-1]))
#: The fine path, along which `dpmpp_3m` ends where the probability flow does.
FINE = Path.ve(np.append(np.geomspace(TOP, 0.005, 200), 0.0))
SCHEDULES = (
    *("normal", "karras", "exponential", "sgm_uniform", "simple", "ddim_uniform"),
    *("beta", "linear_quadratic", "kl_optimal", "bong_tangent", "beta57", "align_your_steps"),
)
#: How many states are fitted to, and how many others are measured: so many, or so many numbers.
STATES, NUMBERS = 4096, 1 << 16
#: Into how many parts these are cut; beginnings are compared on the first.
PARTS = 4


class Problem(NamedTuple):
    """A denoiser of states of kind "ve", and the shape of a datum."""

    denoise: Callable[[Any, Any], Any]
    shape: tuple[int, ...]


def mixtures() -> dict[str, Problem]:
    """Return mixtures of normals, whose denoiser is exact."""
    rng = np.random.default_rng(0)
    laws = {
        "2 normals on the line": GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.5]),
        "3 normals on the plane": GaussianMixture(
            [0.2, 0.5, 0.3], [[-1.5, 0.4], [0.8, 0.9], [0.3, -1.2]], [0.3, 0.45, 0.6]
        ),
        "8 normals in 16 dimensions": GaussianMixture(np.ones(8), rng.normal(size=(8, 16)), 0.3),
    }
    return {name: Problem(law.denoise, law.shape) for name, law in laws.items()}


def digits() -> Problem:
    """Return a network that was trained on digits: seconds."""
    from digits_denoiser import denoiser, train

    known = denoiser(train())
    return Problem(known, (1, 8, 8))


#: What is measured, made when it is needed.
PROBLEMS: dict[str, Callable[[], Problem]] = {
    **{name: lambda problem=problem: problem for name, problem in mixtures().items()},
    "a network for digits": digits,
}


def states(problem: Problem, n: int, seed: int) -> torch.Tensor:
    """Return noise from which runs start."""
    return TOP * torch.from_numpy(noise_like(np.empty((n, *problem.shape), np.float32), rng=seed))


def rmse(problem: Problem, x: torch.Tensor, target: torch.Tensor, made: Plan) -> float:
    """Return how far a plan ends from the target."""
    ends = sample(problem.denoise, x * (made.init_sigma / TOP), made)
    return float((ends - target).double().square().mean().sqrt())


def levels(n: int, name: str) -> np.ndarray:
    """Return the levels of a schedule of n steps."""
    if name == "align_your_steps":
        return sigmas_ays(n, model="sd15", final="zero")
    return schedule(n, name=name, alphas_cumprod=TRAINED)


@cache
def classical(evaluations: int) -> list[tuple[str, str, Plan]]:
    """Return every solver without noise on every schedule, with as many evaluations."""
    out = []
    for name in [*SOLVERS, *ALIASES]:
        known, preset = ALIASES.get(name, (name, {}))
        if known == "ddpm_learned":  # which needs more than a denoiser
            continue
        solver = SOLVERS[known]
        quiet = {"eta": 0.0} if "eta" in solver.options and "eta" not in preset else {}
        for of in SCHEDULES:
            # The most steps that have no more evaluations.
            for steps in range(evaluations, 0, -1):
                try:
                    made = plan(name, Path.ve(levels(steps, of)), **quiet)
                except ValueError:
                    continue
                if made.n_evaluations <= evaluations:
                    if not made.n_draws and not made.guided:
                        out.append((name, of, made))
                    break
    return out


def best_classical(problem: Problem, x: Any, target: Any, n: int) -> tuple[float, str, str]:
    """Return the best of them all, with hindsight: on the states that are measured."""
    found = [(rmse(problem, x, target, made), *names) for *names, made in classical(n)]
    return min(one for one in found if math.isfinite(one[0]))


def timed(fit: Callable[[], Fitted]) -> tuple[Fitted, float]:
    """Return a fit, and the seconds that it took of one core."""
    start = time.process_time()
    found = fit()
    return found, time.process_time() - start


class Measured(NamedTuple):
    """The tables of a problem."""

    plans: list[str]
    schedules: list[str]


def measure(name: str, problem: Problem, counts: tuple[int, ...]) -> Measured:
    """Measure a problem."""
    x, target = {}, {}
    many = min(STATES, NUMBERS // math.prod(problem.shape))
    for seed, of in enumerate(("fit", "new"), 1):
        x[of] = states(problem, many, seed)
        target[of] = sample(problem.denoise, x[of], plan("dpmpp_3m", FINE))
    new = x["new"], target["new"]
    plans, schedules = [], []
    best = {n: best_classical(problem, *new, n) for n in counts}
    for n in counts:
        found, seconds = timed(
            lambda n=n: fit_plan(
                problem.denoise, x["fit"], FINE, n, batch_size=len(x["fit"]) // PARTS
            )
        )
        steps, _ = timed(lambda n=n: fit_steps(problem.denoise, x["fit"], FINE, n, rng=0))
        error = rmse(problem, *new, found.plan)
        rival, solver, of = best[n]
        cells = [name, n, f"{error:.2e}", f"{rmse(problem, *new, steps.plan):.2e}", f"{rival:.2e}"]
        cells += [f"`{solver}`, `{of}`", f"{error / rival:.2f}"]
        cells += [f"{error / best[8][0]:.2f}" if n == 5 and 8 in best else "", f"{seconds:.0f}"]
        plans.append("| " + " | ".join(map(str, cells)) + " |")
        print(plans[-1], flush=True)
        for solver in ("euler", "dpmpp_2m", "unipc"):
            found, seconds = timed(
                lambda n=n, s=solver: fit_schedule(problem.denoise, x["fit"], FINE, n, s)
            )
            errors = [rmse(problem, *new, found.plan)]
            for of in ("kl_optimal", "beta", "align_your_steps", "karras"):
                errors.append(rmse(problem, *new, plan(solver, Path.ve(levels(n, of)))))
            cells = [name, n, f"`{solver}`", *(f"{e:.2e}" for e in errors)]
            cells += [f"{errors[0] / min(errors[1:]):.2f}", f"{seconds:.0f}"]
            schedules.append("| " + " | ".join(map(str, cells)) + " |")
            print(schedules[-1], flush=True)
    return Measured(plans, schedules)


PLANS = (
    "| denoiser | evaluations | `fit_plan` | `fit_steps` | best classical | which | ratio "
    "| to the best of 8 | seconds |\n|---|--:|--:|--:|--:|---|--:|--:|--:|"
)
LEVELS = (
    "| denoiser | steps | solver | fitted | `kl_optimal` | `beta` | Align Your Steps | `karras` "
    "| ratio to the best | seconds |\n|---|--:|---|--:|--:|--:|--:|--:|--:|--:|"
)


def main(page: File | None) -> None:
    """Measure one problem, or all of them for a page."""
    torch.set_num_threads(1)
    if page is None:
        name, made = next(iter(PROBLEMS.items()))
        measure(name, made(), (5,))
        return
    found = [measure(name, made(), (5, 8, 10)) for name, made in PROBLEMS.items()]
    text = page.read_text(encoding="utf-8")
    for mark, head, rows in (
        ("plans", PLANS, [row for one in found for row in one.plans]),
        ("schedules", LEVELS, [row for one in found for row in one.schedules]),
    ):
        table = "\n".join([head, *rows])
        text = re.sub(
            f"(<!-- {mark} begin -->\n\n)(?:.*\n\n)?(<!-- {mark} end -->)",
            lambda part, table=table: f"{part[1]}{table}\n\n{part[2]}",
            text,
            count=1,
            flags=re.DOTALL,
        )
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(File(sys.argv[1]) if len(sys.argv) > 1 else None)
