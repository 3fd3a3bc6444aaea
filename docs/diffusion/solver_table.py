"""The table of `solvers.md`: every solver, measured on laws for which the answer is known.

    python docs/diffusion/solver_table.py

writes it anew; a test says so where the page is behind. What it says of peers, and of the time that
a step takes, was recorded by `peer_figures.py`.
"""

import json
import re
from pathlib import Path as File

import numpy as np
import torch
from sortes.diffusion import GaussianMixture, Guided, ModelStatistics, Path, plan, sample
from sortes.diffusion.solvers import ALIASES, SOLVERS

PAGE = File(__file__).parent / "solvers.md"
PEERS = File(__file__).parent / "peers.json"
#: Between these lines of the page the table stands.
MARKS = ("<!-- the table begins -->", "<!-- the table ends -->")
LAW = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.5])
STARTS = torch.tensor([[-1.3], [0.2], [0.8], [2.1]], dtype=torch.float64)
OPTIONS = {"betas": (0.1, 19.9), "lower_order_final": False}
#: Solvers whose noise cannot be left out.
ALWAYS_NOISY = ("ddpm", "ddpm_learned", "ddpm_large", "consistency", "flow_sde")


class Known:
    """A denoiser whose guidance changes nothing."""

    def __init__(self, denoise) -> None:
        self.denoise = denoise

    def __call__(self, x: torch.Tensor, level: object) -> torch.Tensor:
        """Predict the data."""
        return self.denoise(x, level)

    def guided(self, x: torch.Tensor, level: object) -> Guided:
        """Predict them twice."""
        d = self.denoise(x, level)
        return Guided(d, d)

    def with_variance(self, x: torch.Tensor, level: object) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict the data, and a variance halfway between the two."""
        return self.denoise(x, level), torch.zeros_like(x)


def normal(x: torch.Tensor, level: object) -> torch.Tensor:
    """Predict standard normal data."""
    return x * (level.alpha / (level.alpha**2 + level.sigma**2))


def slope(errors: list[float]) -> float:
    """Return the order that errors at 16, 32 and 64 steps show."""
    return float(np.log2(errors[0] / errors[2]) / 2)


def options_of(name: str, path: Path, *, quiet: bool) -> dict[str, object]:
    """Return the options of a measurement: without lower orders at the end, or noise."""
    taken = SOLVERS[name].options
    options = {key: value for key, value in OPTIONS.items() if key in taken}
    if "statistics" in taken:
        steps = np.linspace(0, path.n_steps, 40 * path.n_steps + 1)
        nodes = np.interp(steps, np.arange(path.n_steps + 1), path.lam)
        held = (np.full(len(nodes), value) for value in (0.7, -0.3, 0.0))
        options["statistics"] = ModelStatistics(nodes, *held)
    if quiet:
        options |= {"eta": 0.0} if "eta" in taken else {}
        options |= {"noise_scale": "ode"} if "noise_scale" in taken else {}
    return options


def error(name: str, steps: int) -> float:
    """Return the largest error after this many steps without noise."""
    path = Path.vp(np.geomspace(20, 0.05, steps + 1))
    made = plan(name, path, **options_of(name, path, quiet=True))
    end = sample(Known(LAW.denoise), STARTS, made)
    return float((end - LAW.ode_map(STARTS, made.path[0], made.path[-1])).abs().max())


def variance(name: str, steps: int) -> float:
    """Return the variance of what a solver with noise makes of standard normal data, exactly."""
    ratio = np.append(np.geomspace(14.6, 0.03, steps), 0.0)
    path = Path.flow(ratio / (1 + ratio)) if name == "flow_sde" else Path.vp(ratio)
    options = options_of(name, path, quiet=False)
    options.pop("lower_order_final", None)
    made = plan(name, path, **options)
    # The result is linear in the start and in each noise: the sum of the squares of its gains.
    x = torch.zeros(made.n_draws + 1, 1, dtype=torch.float64)
    x[0] = made.init_sigma
    noise = torch.zeros(made.n_draws, made.n_draws + 1, 1, dtype=torch.float64)
    noise[range(made.n_draws), range(1, made.n_draws + 1)] = 1
    return float((sample(Known(normal), x, made, noise=noise) ** 2).sum())


def evaluations(name: str) -> str:
    """Return how many evaluations a step has, in the middle of a run."""
    path = Path.vp(np.geomspace(20, 0.05, 65))
    if name == "flow_sde":
        path = Path.flow(np.linspace(0.95, 0.05, 65))
    made = plan(name, path, **options_of(name, path, quiet=False))
    return "1 to 3" if name == "dpm_fast" else f"{round(made.n_evaluations / made.n_steps)}"


def is_noisy(name: str) -> bool:
    """Whether a solver draws noise unless told otherwise."""
    path = Path.flow(np.linspace(0.95, 0.05, 9)) if name == "flow_sde" else Path.vp([9.0, 1.0, 0.1])
    return bool(plan(name, path, **options_of(name, path, quiet=False)).n_draws)


def both(ours: float | None, theirs: float | None, form: str) -> str:
    """Return a figure, and that of the peer beside it."""
    if ours is None:
        return ""
    return f"{ours:{form}}" + ("" if theirs is None else f" ({theirs:{form}})")


def row(name: str, peer: dict) -> str:
    """Return the row of a solver."""
    others = [f"`{other}`" for other, (known, _) in ALIASES.items() if known == name]
    order = error_64 = None
    if name not in (*ALWAYS_NOISY, "dpm_fast"):
        errors = [error(name, steps) for steps in (16, 32, 64)]
        order, error_64 = slope(errors), errors[2]
    known = is_noisy(name) and name != "ddpm_learned"  # whose variance is up to the network
    spread = [variance(name, n) for n in (20, 100)] if known else [None, None]
    theirs = peer.get("variance", [None, None])
    cells = [
        f"`{name}`",
        ", ".join(others),
        both(order, peer.get("order"), ".1f"),
        both(error_64, peer.get("error"), ".0e"),
        evaluations(name),
        *(both(mine, other, ".3f") for mine, other in zip(spread, theirs, strict=True)),
        both(peer.get("us"), peer.get("peer_us"), ".0f"),
        peer.get("peer", ""),
        ", ".join(f"`{option}`" for option in SOLVERS[name].options),
    ]
    return "| " + " | ".join(cells) + " |"


def table() -> str:
    """Return the table."""
    heads = ["solver", "also called", "order", "error at 64", "evaluations", "variance at 20"]
    heads += ["at 100", "µs a step", "peer", "options"]
    rules = ["---", "---", *["--:"] * 6, "---", "---"]
    peers = json.loads(PEERS.read_text("utf-8"))["solvers"]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    return "\n".join([*lines, *(row(name, peers.get(name, {})) for name in SOLVERS)])


def written(page: str) -> str:
    """Return the page with the table as it is measured."""
    begin, end = (re.escape(mark) for mark in MARKS)
    return re.sub(
        f"({begin}\n\n).*(\n\n{end})",
        lambda found: found[1] + table() + found[2],
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
