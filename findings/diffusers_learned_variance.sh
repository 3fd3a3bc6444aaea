#!/usr/bin/env bash
# Packages: diffusers 0.42.1, torch 2.15.0; Python 3.11 or later.
#
# Behaviour: `DDPMScheduler(variance_type="learned")` takes the second half of the network's output as
# the variance itself and draws noise times its square root. The networks that the option is for
# (Nichol and Dhariwal, Improved DDPM; `LEARNED` of their code) return the logarithm of the variance,
# which is negative: every number of the next state is NaN. `"learned_range"`, the other mode of the
# same paper, is read in logarithms, as the paper has it.
#
# Output seen, for standard normal data, the exact noise, and the true variance of the step as output:
#     its logarithm: share of NaN 1.00
#     the variance itself: share of NaN 0.00, deviation of the result 1.00
#
# Why it matters: nothing is raised or warned of, the option has the name of the paper's, and whoever
# trained such a network with the paper's code must pass exp of its output.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check diffusers==0.42.1 torch==2.15.0 numpy scipy

"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import sys

import torch
from diffusers import DDPMScheduler


def step(form):
    """Take one step of a thousand with what the network says of its variance."""
    scheduler = DDPMScheduler(variance_type="learned", clip_sample=False)
    scheduler.set_timesteps(1000)
    t = 500
    now, before = scheduler.alphas_cumprod[t], scheduler.alphas_cumprod[t - 1]
    variance = 1 - now / before  # of standard normal data, exactly
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 1, 10, 10, generator=generator)
    said = torch.full_like(x, form(variance).item())
    noise = (1 - now).sqrt() * x
    return scheduler.step(torch.cat([noise, said], 1), t, x, generator=generator).prev_sample


logarithm, itself = step(torch.log), step(lambda variance: variance)
shares = [found.isnan().float().mean().item() for found in (logarithm, itself)]
spread = itself.std().item()
print(f"its logarithm: share of NaN {shares[0]:.2f}")
print(f"the variance itself: share of NaN {shares[1]:.2f}, deviation of the result {spread:.2f}")
sys.exit(not (shares == [1, 0] and abs(spread - 1) < 0.02))
PYTHON
