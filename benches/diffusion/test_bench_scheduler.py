"""What a step of a scheduler costs in a pipeline's loop: SortesScheduler and those of diffusers.

The network returns the same output each time; noise is not drawn.
"""

import pytest
import torch

from benches.turns import peer, turns

# Theirs, of NumPy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STEPS = 20
TRAINED = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
#: A solver, its options, and the class of the peer.
SHARED = [
    ("ddim", {}, "DDIMScheduler"),
    ("heun", {}, "HeunDiscreteScheduler"),
    ("dpmpp_2m", {}, "DPMSolverMultistepScheduler"),
    ("unipc", {"order": 2}, "UniPCMultistepScheduler"),
    ("deis_logrho", {}, "DEISMultistepScheduler"),
    ("flow_euler", {}, "FlowMatchEulerDiscreteScheduler"),
]


def loop(scheduler, x, output):
    """Return what a pipeline does."""

    def run(_):
        scheduler.set_timesteps(STEPS)
        state = x
        for t in scheduler.timesteps:
            if hasattr(scheduler, "scale_model_input"):
                scheduler.scale_model_input(state, t)
            state = scheduler.step(output, t, state, return_dict=False)[0]
        return state

    return run


@pytest.mark.parametrize(("name", "options", "cls"), SHARED)
def test_steps(benchmark, name, options, cls):
    pytest.importorskip("diffusers")
    from sortes.integrations.diffusers import SortesScheduler

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x, output = torch.randn(2, 1, 4, 64, 64)
        trained = {"num_train_timesteps": 1000} if "Flow" in cls else TRAINED
        kind = {"prediction_type": "flow_prediction"} if "Flow" in cls else {}
        ours = SortesScheduler(name, options, **trained, **kind)

        def theirs(diffusers):
            own = {"clip_sample": False} if cls == "DDIMScheduler" else {}
            return loop(getattr(diffusers, cls)(**trained, **own), x, output)

        turns(
            benchmark,
            "20 steps of a scheduler in a pipeline's loop",
            {"solver": name, "options": str(options or ""), "scheduler": cls},
            {"sortes": loop(ours, x, output)},
            {"diffusers": peer("diffusers", theirs)},
            seconds=0.6,
        )
    finally:
        torch.set_num_threads(threads)
