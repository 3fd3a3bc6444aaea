"""What the table of `solvers.md` says of peers, and what a step costs: written to `peers.json`.

    python docs/diffusion/peer_figures.py            # everything, some minutes
    python docs/diffusion/peer_figures.py --quick    # all but the times

It needs diffusers, and k-diffusion where `tests/contracts/install_peers.sh` puts it. Peers go
through the levels of the table, with the same data. Times are the least of many, in turns with
ours.
"""

import importlib
import inspect
import json
import platform
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path as File

import numpy as np
import torch
from solver_table import ALWAYS_NOISY, LAW, STARTS, normal, options_of, slope
from sortes.diffusion import Guided, Level, Path, plan, sample
from sortes.diffusion.solvers import SOLVERS

FILE = File(__file__).parent / "peers.json"
K_DIFFUSION = File(__file__).parents[2] / ".peers" / "k_diffusion"
DOUBLE = torch.float64
#: By k-diffusion, a function of the same name; by diffusers, a class and its configuration.
FUNCTIONS = (
    *("euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2m"),
    *("dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"),
)
SDE = {"algorithm_type": "sde-dpmsolver++"}
CLASSES = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "ddpm_large": ("DDPMScheduler", {"variance_type": "fixed_large"}),
    "flow_euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "dpmpp_3m": ("DPMSolverMultistepScheduler", {"solver_order": 3}),
    "dpmpp_2m_sde_heun": ("DPMSolverMultistepScheduler", {**SDE, "solver_type": "heun"}),
    "unipc": ("UniPCMultistepScheduler", {"solver_order": 3}),
    "deis_logrho": ("DEISMultistepScheduler", {}),
    "sa_solver": ("SASolverScheduler", {"predictor_order": 3, "corrector_order": 4}),
}
Model = Callable[[torch.Tensor, Level], torch.Tensor]


def k_diffusion() -> types.ModuleType:
    """Return the module of samplers, without the rest of the package, which training needs."""
    sys.path.append(str(K_DIFFUSION))
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(K_DIFFUSION / "k_diffusion")]
    pictures = types.ModuleType("torchvision.transforms")
    pictures.functional = None
    sys.modules |= {
        "k_diffusion": package,
        "torchvision": types.ModuleType("torchvision"),
        "torchvision.transforms": pictures,
    }
    return importlib.import_module("k_diffusion.sampling")


def wiener(noise: Iterator) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return noise of intervals, of which the second may begin with the first: one Wiener path."""
    before: list = []

    def between(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        z, start, end = next(noise), float(start), float(end)
        if before and abs(before[0] - start) < 1e-9 * start and before[1] > end:
            _, middle, first = before
            whole = (start - middle) ** 0.5 * first + (middle - end) ** 0.5 * z
            z = whole / (start - end) ** 0.5
        before[:] = start, end, z
        return z

    return between


def of_function(name: str, path: Path, x: torch.Tensor, model: Model, noise: Iterator, quiet: bool):
    """Go through a path of variance one by a function of k-diffusion."""
    function = getattr(k_diffusion(), f"sample_{name}")
    taken = inspect.signature(function).parameters
    options = {"eta": 0.0} if quiet and "eta" in taken else {}
    if "noise_sampler" in taken:
        options["noise_sampler"] = wiener(noise)

    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return model(x, Level(1.0, float(sigma[0]), 0.0))

    sigmas = torch.from_numpy(path.ratio.copy())
    gain = float(path.alpha[0])
    return function(denoiser, x / gain, sigmas, disable=True, **options) * float(path.alpha[-1])


def scheduler_of(name: str, path: Path, *, quiet: bool):
    """Return a scheduler of diffusers with the levels of a path in the place of its own."""
    import diffusers

    cls, config = CLASSES[name]
    n, ends = path.n_steps, path.alpha[-1]
    if cls.startswith("Flow"):
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(sigmas=path.sigma[:-1])
        scheduler.sigmas = torch.from_numpy(path.sigma.copy())
        return scheduler
    if cls.startswith("DD"):
        # Times count the levels, the last of which is time 0, or follows it.
        levels = n + 1 if ends < 1 else n
        scheduler = getattr(diffusers, cls)(levels, clip_sample=False, **config)
        squares = torch.from_numpy(path.alpha[:levels][::-1].copy()) ** 2
        scheduler.alphas_cumprod = squares
        scheduler.one = scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=DOUBLE)
        scheduler.num_inference_steps = n
        scheduler.custom_timesteps = True
        scheduler.timesteps = torch.arange(levels - 1, levels - 1 - n, -1)
        if cls == "DDPMScheduler" and ends < 1:
            raise ValueError("DDPM is for clean ends")
        return scheduler
    if "lower_order_final" in inspect.signature(getattr(diffusers, cls)).parameters:
        config = {**config, "lower_order_final": False}
    if cls == "SASolverScheduler":
        config = {**config, "tau_func": (lambda t: 0.0) if quiet else (lambda t: 1.0)}
    if quiet and "algorithm_type" in config:
        config = {**config, "algorithm_type": "dpmsolver++"}
    scheduler = getattr(diffusers, cls)(**config)
    scheduler.set_timesteps(n)
    scheduler.timesteps = torch.arange(n)
    scheduler.sigmas = torch.from_numpy(path.ratio.copy())
    scheduler.num_inference_steps = n
    return scheduler


def of_class(name: str, path: Path, x: torch.Tensor, model: Model, noise: Iterator, quiet: bool):
    """Go through a path by a scheduler of diffusers."""
    scheduler = scheduler_of(name, path, quiet=quiet)
    module = sys.modules[type(scheduler).__module__]
    drawn = getattr(module, "randn_tensor", None)
    module.randn_tensor = lambda *_, **__: next(noise)
    try:
        for i, t in enumerate(scheduler.timesteps):
            level = path[i]
            d = model(x, level)
            flow = path.kind == "flow"
            output = (x - d if flow else x - level.alpha * d) / level.sigma
            x = scheduler.step(output, t, x).prev_sample
    finally:
        module.randn_tensor = drawn
    return x


def run(name: str, path: Path, x: torch.Tensor, model: Model, noise: Iterator, *, quiet: bool):
    """Go through a path by the peer of a solver."""
    way = of_function if name in FUNCTIONS else of_class
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return way(name, path, x, model, noise, quiet)


def error(name: str, steps: int) -> float:
    """Return the largest error of a peer, as the table has it of ours."""
    ratio = np.geomspace(20, 0.05, steps + 1)
    path = Path.flow(ratio / (1 + ratio)) if name == "flow_euler" else Path.vp(ratio)
    zeros = iter(lambda: torch.zeros_like(STARTS), None)
    end = run(name, path, STARTS, LAW.denoise, zeros, quiet=True)
    return float((end - LAW.ode_map(STARTS, path[0], path[-1])).abs().max())


def variance(name: str, steps: int) -> float:
    """Return the variance that a peer makes of standard normal data, by its gains."""
    path = Path.vp(np.append(np.geomspace(14.6, 0.03, steps), 0.0))
    rows = 3 * steps
    x = torch.zeros(rows + 1, 1, dtype=DOUBLE)
    x[0] = float(path.sigma[0])

    def units() -> Iterator[torch.Tensor]:
        for row in range(1, rows + 1):
            unit = torch.zeros_like(x)
            unit[row] = 1
            yield unit

    return float((run(name, path, x, normal, units(), quiet=False) ** 2).sum())


class Known:
    """A model that costs nothing: it knows what it says."""

    def __init__(self, d: torch.Tensor) -> None:
        self.d = d

    def __call__(self, x: torch.Tensor, level: object) -> torch.Tensor:
        """Predict the data."""
        return self.d

    def guided(self, x: torch.Tensor, level: object) -> Guided:
        """Predict them twice."""
        return Guided(self.d, self.d)

    def with_variance(self, x: torch.Tensor, level: object) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict the data, and a variance halfway between the two."""
        return self.d, torch.zeros_like(self.d)


def peer_run(name: str, steps: int, x: torch.Tensor, d: torch.Tensor) -> Callable[[], object]:
    """Return what a user of the peer runs: for diffusers with its own levels."""
    if name in FUNCTIONS:
        function = getattr(k_diffusion(), f"sample_{name}")
        sigmas = torch.tensor(np.append(np.geomspace(14.6, 0.03, steps), 0.0)).float()
        known = Known(d)
        options = {}
        if "noise_sampler" in inspect.signature(function).parameters:
            options["noise_sampler"] = lambda *_: x
        return lambda: function(known, x, sigmas, disable=True, **options)
    import diffusers

    cls, config = CLASSES[name]
    own = {"clip_sample": False} if cls.startswith("DD") else {}
    scheduler = getattr(diffusers, cls)(**own, **config)
    sys.modules[type(scheduler).__module__].randn_tensor = lambda *_, **__: x

    def run() -> None:
        scheduler.set_timesteps(steps)
        state = x
        for t in scheduler.timesteps:
            state = scheduler.step(d, t, state).prev_sample

    return run


def times(name: str, steps: int = 20, seconds: float = 1.0) -> tuple[float, float | None]:
    """Return what a step costs in microseconds beside the model, ours and the peer's."""
    x, d = torch.randn(2, 1, 4, 64, 64)
    ratio = np.append(np.geomspace(14.6, 0.03, steps), 0.0)
    flows = name in ("flow_euler", "flow_sde")
    path = Path.flow(np.linspace(0.99, 0, steps + 1)) if flows else Path.vp(ratio)
    if name in ("dpm_fast", "dpm_v3"):
        path = Path.vp(np.geomspace(14.6, 0.03, steps + 1))
    made = plan(name, path, **options_of(name, path, quiet=False))
    noise = torch.randn(made.n_draws, *x.shape) if made.n_draws else None
    ways: dict[str, Callable[[], object]] = {"ours": lambda: sample(Known(d), x, made, noise=noise)}
    if name in FUNCTIONS or name in CLASSES:
        ways["theirs"] = peer_run(name, steps, x, d)
    least = dict.fromkeys(ways, np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for way in ways.values():
            way()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for key, way in ways.items():
                began = time.perf_counter()
                way()
                least[key] = min(least[key], time.perf_counter() - began)
    found = {key: 1e6 * value / steps for key, value in least.items()}
    return found["ours"], found.get("theirs")


def figures(name: str, old: dict, *, quick: bool) -> dict:
    """Return what is known of a solver's peer."""
    found: dict = {}
    if name in FUNCTIONS or name in CLASSES:
        found["peer"] = "k-diffusion" if name in FUNCTIONS else CLASSES[name][0]
        if name not in ALWAYS_NOISY:
            errors = [error(name, steps) for steps in (16, 32, 64)]
            found |= {"order": slope(errors), "error": errors[2]}
        if plan(name, Path.vp([9.0, 1.0, 0.1])).n_draws:
            both = [variance(name, steps) for steps in (20, 100)]
            found["variance"] = [None if np.isnan(value) else value for value in both]
    if quick:
        kept = {key: old[key] for key in ("us", "peer_us") if key in old}
        return found | kept
    ours, theirs = times(name)
    return found | {"us": round(ours, 1)} | ({"peer_us": round(theirs, 1)} if theirs else {})


def main() -> None:
    """Measure all, and write it down."""
    torch.set_num_threads(1)
    old = json.loads(FILE.read_text("utf-8"))["solvers"] if FILE.exists() else {}
    quick = "--quick" in sys.argv[1:]
    solvers = {}
    for name in SOLVERS:
        solvers[name] = figures(name, old.get(name, {}), quick=quick)
        print(name, solvers[name], flush=True)
    versions = {name: version(name) for name in ("diffusers", "torch")}
    versions["k-diffusion"] = "0.1.1"
    told = {"versions": versions, "machine": platform.machine()}
    lines = ",\n".join(f'"{name}": {json.dumps(found)}' for name, found in solvers.items())
    FILE.write_text(
        f'{{"measured": {json.dumps(told)},\n"solvers": {{\n{lines}\n}}}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    main()
