"""Valid calls of what the family offers."""

import numpy as np
from public import FOLDER
from sortes.diffusion import (
    BrownianNoise,
    Denoiser,
    Fitted,
    GaussianMixture,
    Guided,
    ImageNoise,
    Level,
    Levels,
    Path,
    StepSpec,
    plan,
)
from sortes.diffusion._states import namespace

#: How many times as many levels, or images, there are; `public.resize` sets it.
SCALE: int = globals().get("SCALE", 1)
SIGMAS = np.append(np.geomspace(10, 0.1, 4 * SCALE), 0.0)
SIDE = int(4 * SCALE**0.5)
TRAINED = np.cumprod(1 - np.linspace(1e-4, 0.02, 100))


class Normal:
    """A denoiser of normal data that copies as itself."""

    def __call__(self, x, level):
        """Return the prediction."""
        return x * (level.alpha / (level.alpha**2 + level.sigma**2))

    def guided(self, x, level):
        """Return two predictions."""
        return Guided(self(x, level), 0.5 * self(x, level))

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


def _spread(indices, choices):
    """Return how uneven levels are."""
    return float((np.diff(indices) ** 2).sum() + choices.sum())


LEVEL = Level(0.6, 0.8, 3.0)
WEIGHTS, MEANS, SPREADS = [0.3, 0.7], [[-1.2, 0.0], [0.9, 1.0]], [0.35, 0.5]
STATES = np.tile([[0.2, -0.3], [1.5, 0.4], [0.0, 0.7]], (SCALE, 1))
POINTS = np.tile([0.2, -0.3, 1.5], SCALE)
RUN = {"x": STATES, "rng": 0}
ROWS = np.arange(len(STATES))[::-1].copy()
CONFIG = {"beta_schedule": "linear", "num_train_timesteps": 100, "prediction_type": "epsilon"}


class Network:
    """A network that copies as itself."""

    def __call__(self, x, t, shift=0.0):
        """Return something that depends on everything."""
        return 0.5 * x + 0.01 * t.reshape(-1, *(1,) * (x.ndim - 1)) + shift

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


class Twice(Network):
    """One that has learned a variance."""

    def __call__(self, x, t, shift=0.0):
        """Return twice the channels."""
        found = super().__call__(x, t, shift)
        return namespace(x).concatenate([found, found], 1)


def tensor():
    """Return states at the first level."""
    import torch

    return 10 * torch.linspace(-1, 1, 6 * SCALE).reshape(2, -1)


def sampling():
    """Return calls of the loop."""
    import torch

    ve = Path.ve(SIGMAS)
    call = {"denoiser": Normal(), "x": tensor()}
    noise = torch.ones(1).expand(4 * SCALE, 2, 3 * SCALE)
    return [
        {**call, "plan": plan("unipc", ve), "return_trajectory": True},
        {**call, "plan": plan("ddpm", ve), "rng": 3, "rows": [4, 2]},
        {**call, "plan": plan("ddpm", ve), "noise": noise},
        {**call, "plan": plan("dpmpp_2m_cfg_pp", ve)},
    ]


def together():
    """Return calls of the loop that makes many steps at once."""
    call = {"denoiser": Normal(), "x": tensor(), "plan": plan("unipc", Path.ve(SIGMAS))}
    noisy = {**call, "plan": plan("ddpm", Path.ve(SIGMAS)), "rng": 3, "rows": [4, 2], "window": 2}
    return [{**call, "window": 3, "tol": 0.2}, noisy]


def correcting():
    """Return calls of the Feynman-Kac correctors."""
    call = {"x": tensor(), "path": Path.ve(SIGMAS), "rng": 3}
    return [
        {**call, "denoisers": Normal(), "weights": 2.0, "rows": [4, 2]},
        {
            **call,
            "denoisers": [Normal(), Normal()],
            "weights": [-0.5, 1.5],
            "reward": Reward(),
            "reward_scale": 0.5,
            "groups": 2,
            "ess_threshold": 0.3,
            "interval": (0.2, 5.0),
            "method": "stratified",
        },
    ]


class Reward:
    """A reward that copies as itself."""

    def __call__(self, x):
        """Return the first number of each."""
        return x[:, 0]

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


def adapting():
    """Return calls of the adaptive solver."""
    call = {"denoiser": Normal(), "x": tensor(), "path": Path.ve([10.0, 0.1, 0.0])}
    return [{**call, "order": 2}, {**call, "eta": 1.0, "rng": 3, "rows": [4, 2]}]


def fitting():
    """Return what fits share, which ask about their states some hundred times."""
    path = Path.ve(np.append(np.geomspace(10, 0.1, 8), 0.0))
    x = tensor()[:, : 3 * (1 + SCALE // 10)]
    return {"denoiser": Normal(), "x": x, "path": path, "n": 3, "max_iterations": 2}


def stepping():
    """Return calls of the programme: where a beam acts, and where fewer steps are better."""
    import torch

    path = Path.ve(np.geomspace(8, 0.1, 7))
    states = [[-3.2, -8.8], [-1.6, -1.6]]
    return [
        {
            "denoiser": line().denoise,
            "x": torch.tensor(x * SCALE, dtype=torch.float64),
            "path": path,
            "k": 3,
        }
        for x in states
    ]


def file():
    """Return the name of a file that holds a fitted plan."""
    name = FOLDER / "plan.json"
    Fitted(plan("ddim", Path.ve(SIGMAS)), 0.5).save(name)
    return str(name)


def mixture():
    """Two normals on the plane."""
    return GaussianMixture(WEIGHTS, MEANS, SPREADS)


def line():
    """Two normals on the line."""
    return GaussianMixture(WEIGHTS, [-1.2, 0.9], SPREADS)


ENDS = {"sigma_min": 0.03, "sigma_max": 14.6}
GUIDANCE = {
    "args": {"shift": 1.0},
    "uncond": {"shift": 0.0},
    "guidance_scale": 2.0,
    "guidance_interval": (0.1, 5.0),
}

CALLS = {
    "DynamicThreshold": {"denoiser": Normal(), "ratio": 0.9, "max_value": 2.0},
    "DynamicThreshold.__call__": lambda: {"x": tensor(), "level": Level(1.0, 10.0, 10.0)},
    "Fitted.load": lambda: {"file": file(), "kind": "ve", "solver": "ddim"},
    "Fitted.save": lambda: {"file": file()},
    "Plan.row": {"k": 1},
    "ays_cost": lambda: {
        "denoiser": Normal(),
        "x0": tensor() / 10,
        "path": Path.ve(np.geomspace(10, 0.1, 5)),
        "points": 3,
        "rng": 0,
    },
    "evolutionary_search": {
        "fitness": _spread,
        "n_levels": 9,
        "k": 3,
        "n_choices": 2,
        "population": 6,
        "n_parents": 3,
        "mutation": 0.7,
        "generations": 3,
        "initial": [[0, 2, 4, 8]],
        "rng": 0,
    },
    "fit_plan": lambda: [
        {**fitting(), "history": 2, "order": 3, "keep_order": 1, "ridge": 1e-3},
        {**fitting(), "target": fitting()["x"] / 10, "batch_size": 1},
    ],
    "fit_schedule": lambda: [
        {**fitting(), "solver": "dpmpp_2m", "solver_type": "heun"},
        {**fitting(), "path": Path.ve(np.geomspace(10, 0.1, 8)), "solver": "dpmpp_2m"},
    ],
    "fit_steps": lambda: {
        **fitting(),
        "pool": [StepSpec(1), StepSpec(2)],
        "population": 4,
        "generations": 2,
        "rng": 0,
    },
    "optimal_stepsize": stepping,
    "plan_from_steps": {
        "steps": [StepSpec(1 + i % 2) for i in range(SIDE)],
        "path": Path.ve(np.geomspace(10, 0.1, SIDE + 1)),
    },
    "shortest_k_path": {"cost": np.ones((SIDE, SIDE)), "k": 3},
    "plan": [
        {"solver": "dpmpp_2m", "path": Path.ve(SIGMAS), "solver_type": "heun"},
        {"solver": "sa_solver", "path": Path.ve(SIGMAS), "eta": 0.5, "s_tmin": 0.2},
        {"solver": "heun", "path": Path.ve(SIGMAS), "s_churn": 2.0, "frame": "flow"},
    ],
    "fkc_sample": correcting,
    "paradigms": together,
    "sample": sampling,
    "sample_adaptive": adapting,
    "solver_names": {},
    "BrownianNoise": [RUN, {**RUN, "rows": ROWS}],
    "BrownianNoise.__call__": {"sigma": 5.0, "sigma_next": 1.0},
    "Denoiser": [
        {"model": Network(), "path": Path.vp(SIGMAS), "prediction": "epsilon", **GUIDANCE},
        {"model": Network(), "prediction": "edm", "sigma_data": 0.7},
        {"model": Network(), "prediction": "sample", "kind": "ve", "t_from": "sigma"},
        {"model": Network(), "prediction": "epsilon", "alphas_cumprod": TRAINED},
        {"model": Twice(), "prediction": "sample", "learned_variance": True},
    ],
    "Denoiser.__call__": {"x": STATES, "level": LEVEL},
    "Denoiser.guided": {"x": STATES, "level": LEVEL},
    "Denoiser.with_variance": {"x": STATES, "level": LEVEL},
    "Levels": {"levels": [LEVEL] * len(STATES), "x": STATES},
    "GaussianMixture": {"w": WEIGHTS, "mu": MEANS, "sd": SPREADS},
    "GaussianMixture.cdf": lambda: [{"x": x, "level": LEVEL} for x in (POINTS, tensor())],
    "GaussianMixture.denoise": lambda: [{"x": x, "level": LEVEL} for x in (STATES, tensor())],
    "GaussianMixture.log_prob": lambda: [{"x": x, "level": LEVEL} for x in (STATES, tensor())],
    "GaussianMixture.ode_map": {"x": POINTS, "start": LEVEL, "end": Level(0.8, 0.6, 0.0)},
    "GaussianMixture.predict": {"x": STATES, "level": LEVEL, "prediction": "v_prediction"},
    "GaussianMixture.project": {"direction": np.array(0.6)},
    "GaussianMixture.quantile": {"p": np.tile([0.2, 0.9], SCALE), "level": LEVEL},
    "GaussianMixture.sample": {"n": 3 * SCALE, "level": LEVEL, "rng": 0},
    "GaussianMixture.score": {"x": STATES, "level": LEVEL},
    "ImageNoise": [RUN, {**RUN, "rows": ROWS}],
    "ImageNoise.__call__": {"sigma": 5.0, "sigma_next": 1.0},
    "ImageNoise.draw": {"number": 3},
    "Path": [
        {"alpha": np.ones(len(SIGMAS)), "sigma": SIGMAS, "kind": "ve"},
        {
            "alpha": 1 - SIGMAS / 20,
            "sigma": SIGMAS / 20,
            "t": SIGMAS + 1,
            "kind": "flow",
            "clock": ([-1.0, 2.0], [5.0, 3.0]),
        },
    ],
    "Path.ve": {"sigmas": SIGMAS, "t": SIGMAS + 1},
    "Path.vp": [
        {"sigmas": SIGMAS, "t": SIGMAS + 1},
        {"sigmas": SIGMAS, "alphas_cumprod": TRAINED},
    ],
    "Path.at_timesteps": {"alphas_cumprod": TRAINED, "timesteps": [99, 40, 3], "final": "first"},
    "Path.flow": {"sigmas": SIGMAS / 20, "t_scale": 1000.0},
    "Path.at_lambda": {"lam": 0.3},
    "Path.take": {"indices": [0, 2, 4]},
    "betas": {"num_timesteps": 50, "kind": "scaled_linear", "beta_start": 1e-3, "beta_end": 0.1},
    "data_and_noise": {
        "output": STATES,
        "x": STATES + 0.5,
        "level": LEVEL,
        "prediction": "epsilon",
    },
    "from_diffusers": {
        "model": Network(),
        "config": CONFIG,
        "path": Path.vp(SIGMAS),
        **GUIDANCE,
    },
    "from_k_diffusion": {"model": Network(), "args": {"shift": 1.0}},
    "mmd2_to_gmm": {"x": STATES[:999], "gmm": mixture(), "bandwidth": 0.7},
    "noise_like": lambda: [RUN, {**RUN, "rows": ROWS}, {"x": tensor(), "rng": 0}],
    "schedule": [
        {"n": 5, "name": "karras", **ENDS},
        {"n": 5, "name": "normal", "alphas_cumprod": TRAINED},
    ],
    "shift_sigmas": [
        {"sigmas": [1.0, 0.5, 0.0], "shift": 3.0},
        {"sigmas": [1.0, 0.5, 0.2, 0.0], "mu": 0.7, "power": 2.0},
    ],
    "sigmas_ays": {"n": 7, "model": "sdxl"},
    "sigmas_beta": {"n": 7, **ENDS},
    "sigmas_bong_tangent": {"n": 7, "sigma_max": 5.0},
    "sigmas_exponential": {"n": 7 * SCALE, **ENDS},
    "sigmas_flow": [{"n": 7 * SCALE, "shift": 3.0}, {"n": 7 * SCALE, "mu": 0.5}],
    "sigmas_gaussian": {"n": 7, **ENDS, "sigma_data": 0.5},
    "sigmas_karras": {"n": 7 * SCALE, **ENDS, "rho": 3.0},
    "sigmas_linear_quadratic": {"n": 7, "linear_steps": 4},
    "sigmas_polyexponential": {"n": 7 * SCALE, **ENDS, "rho": 2.0},
    "sigmas_vp": {"n": 7 * SCALE},
    "sliced_wasserstein": [
        {"x": STATES, "y": STATES[::-1] + 0.5, "num_projections": 4, "p": 2.0, "rng": 0},
        {"x": STATES, "y": mixture(), "num_projections": 4, "rng": 0},
    ],
    "timesteps_beta": {"n": 7, "alpha": 0.5, "beta": 0.7},
    "timesteps_spacing": [
        {"n": 7, "kind": "leading", "offset": 1},
        {"n": 7, "kind": "linspace", "convention": "dpm"},
    ],
    "w1_to_gmm_1d": {"x": POINTS, "gmm": line()},
    "zero_terminal_snr": {"betas": np.linspace(0.01, 0.2, 5)},
}
#: The best of a generation of one is what is given.
BESIDE = {"evolutionary_search initial": {"population": 1, "generations": 1}}
VALUES = {"evolutionary_search initial": [[[0, 1, 2, 8]]]}
MADE = {
    "Levels": lambda: Levels([LEVEL] * len(STATES), STATES),
    "Fitted": lambda: Fitted(plan("ddim", Path.ve(SIGMAS)), 0.5),
    "BrownianNoise": lambda: BrownianNoise(STATES, rng=0),
    "Denoiser": lambda: Denoiser(
        Twice(), Path.vp(SIGMAS), prediction="epsilon", learned_variance=True, **GUIDANCE
    ),
    "GaussianMixture": line,
    "ImageNoise": lambda: ImageNoise(STATES, rng=0),
    "Path": lambda: Path.ve(SIGMAS),
    "Plan": lambda: plan("ddim", Path.ve(SIGMAS)),
}

STARVED = {"wide": [20_000, 300_000]}
# A run of more steps is made of so many objects that letting go of them takes half a second.
LONG = {"wide": [20_000, 100_000, 200_000]}
