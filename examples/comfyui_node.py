"""Nodes for ComfyUI: any solver of sortes as a SAMPLER, and its schedules as SIGMAS.

    cp examples/comfyui_node.py ComfyUI/custom_nodes/sortes_node.py

Both appear under sampling/custom_sampling, for SamplerCustom and SamplerCustomAdvanced. They work
with models of every kind that ComfyUI has; the names in cfg_pp ask the model without prompt, too.
"""

import json

import torch
from sortes.diffusion import (
    Guided,
    Path,
    plan,
    sample,
    sample_adaptive,
    schedule,
    sigmas_ays,
    sigmas_gaussian,
    solver_names,
)

#: Schedules of tables, beside those that ComfyUI has.
TABLES = {"ays_sd15": "sd15", "ays_sdxl": "sdxl", "ays_svd": "svd"}
SCHEDULES = (
    *("simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"),
    *("linear_quadratic", "kl_optimal", "bong_tangent", "beta57", "gaussian", *TABLES),
)
#: What needs more than a path, or is no name for people.
LEFT_OUT = ("dpm_v3", "flow_sde")
SOLVERS = [name for name in solver_names() if name.islower() and name not in LEFT_OUT]
#: The one that chooses its steps.
ADAPTIVE = "dpm_adaptive"
SOLVERS.append(ADAPTIVE)


class ComfyModel:
    """The model of a sampler of ComfyUI as a denoiser of ours."""

    def __init__(self, model, is_flow: bool, args: dict) -> None:
        self.model, self.is_flow, self.args = model, is_flow, args
        self.unconditional = None

    def __call__(self, x: torch.Tensor, level) -> torch.Tensor:
        """Predict the data."""
        sigma = level.sigma if self.is_flow else level.ratio
        return self.model(x, x.new_full((len(x),), sigma), **self.args)

    def guided(self, x: torch.Tensor, level) -> Guided:
        """Predict the data with guidance and without prompt, which ComfyUI tells by the way."""
        data = self(x, level)
        if self.unconditional is None:
            raise ValueError("cfg_pp: needs a model that is asked without prompt as well")
        return Guided(data, self.unconditional)

    def listen(self) -> None:
        """Have ComfyUI tell the prediction without prompt."""
        from comfy.model_patcher import set_model_options_post_cfg_function

        def tell(told: dict):
            self.unconditional = told["uncond_denoised"]
            return told["denoised"]

        options = set_model_options_post_cfg_function(
            self.args.get("model_options", {}).copy(), tell, disable_cfg1_optimization=True
        )
        self.args = {**self.args, "model_options": options}


def sampler_function(
    model, x, sigmas, extra_args=None, callback=None, disable=None, *, solver, options
):
    """Go through the levels: what ComfyUI calls where its own samplers are called."""
    from comfy.model_sampling import CONST

    if len(sigmas) < 2:
        return x
    is_flow = isinstance(model.inner_model.inner_model.model_sampling, CONST)
    # The only number that is read from the device, before the loop.
    levels = sigmas.double().cpu().numpy()
    path = (Path.flow if is_flow else Path.ve)(levels)
    denoiser = ComfyModel(model, is_flow, dict(extra_args or {}))
    if solver == ADAPTIVE:
        return sample_adaptive(denoiser, x, path, **options).x
    made = plan(solver, path, **options)
    if made.guided:
        denoiser.listen()
    randomness = {"rng": denoiser.args.get("seed") or 0} if made.n_draws else {}
    return sample(denoiser, x, made, callback=callback, check_finite=False, **randomness)


class SortesSampler:
    """A solver with its options, as a SAMPLER."""

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "make"
    CATEGORY = "sampling/custom_sampling/samplers"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802, the name that ComfyUI looks for
        """Return what the node asks for."""
        hint = 'JSON, such as {"eta": 0.5, "order": 3}'
        return {
            "required": {
                "solver": (SOLVERS, {"default": "unipc"}),
                "options": ("STRING", {"default": "{}", "tooltip": hint}),
            }
        }

    def make(self, solver: str, options: str):
        """Return the sampler."""
        from comfy.samplers import KSAMPLER

        chosen = json.loads(options or "{}")
        if not isinstance(chosen, dict):
            raise ValueError(f"options: must be a JSON object, got {options!r}")
        if solver != ADAPTIVE:
            plan(solver, Path.ve([2.0, 1.0, 0.5]), **chosen)  # what is wrong is said here
        return (KSAMPLER(sampler_function, {"solver": solver, "options": chosen}),)


class SortesSigmas:
    """A schedule of a model, as SIGMAS."""

    RETURN_TYPES = ("SIGMAS",)
    FUNCTION = "make"
    CATEGORY = "sampling/custom_sampling/schedulers"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802
        """Return what the node asks for."""
        whole = {"default": 20, "min": 1, "max": 10000}
        part = {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}
        return {
            "required": {
                "model": ("MODEL",),
                "schedule": (list(SCHEDULES), {"default": "kl_optimal"}),
                "steps": ("INT", whole),
                "denoise": ("FLOAT", part),
            }
        }

    def make(self, model, schedule: str, steps: int, denoise: float):
        """Return the levels."""
        if denoise <= 0:
            return (torch.empty(0),)
        sampling = model.get_model_object("model_sampling")
        # A denoise below 1 is the end of a longer schedule, as elsewhere in ComfyUI.
        levels = levels_of(sampling, schedule, int(steps / denoise))
        if denoise < 1:
            levels = levels[-steps - 1 :].copy()
        return (torch.from_numpy(levels).float(),)


def levels_of(sampling, name: str, steps: int):
    """Return the levels of a schedule for what a model says of its sampling."""
    if name in TABLES:
        return sigmas_ays(steps, model=TABLES[name], final="zero")
    ends = float(sampling.sigma_min), float(sampling.sigma_max)
    if name == "gaussian":
        return sigmas_gaussian(steps, *ends, 0.5, append_zero=True)
    if name in ("linear_quadratic", "bong_tangent"):
        return schedule(steps, name=name, sigma_max=ends[1])
    if name in ("karras", "exponential", "kl_optimal"):
        return schedule(steps, name=name, sigma_min=ends[0], sigma_max=ends[1])
    # The others take entries of the table of the training, made of these squares of alpha.
    table = sampling.sigmas.double().cpu().numpy()
    return schedule(steps, name=name, alphas_cumprod=1 / (1 + table**2))


NODE_CLASS_MAPPINGS = {"SortesSampler": SortesSampler, "SortesSigmas": SortesSigmas}
NODE_DISPLAY_NAME_MAPPINGS = {
    "SortesSampler": "Sampler (sortes)",
    "SortesSigmas": "Sigmas (sortes)",
}

if __name__ == "__main__":
    print(__doc__)
    print(len(SOLVERS), "solvers:", *SOLVERS)
