"""Valid calls of what the family offers."""

import numpy as np
from decode.public import LAW, LOGITS
from sortes.sequences import ArithmeticCodes

DONE = np.array([False, True])

CALLS = {
    "ArithmeticCodes": [
        {"n_prompts": 2, "n": 1, "codebook": "t5x", "token_order": "random", "rng": 0,
         "prompt_ids": np.array([3, 4])},
        {"n_prompts": 2, "n": 2, "codes": np.array([0.25, 0.5]), "rng": 0},
    ],
    "ArithmeticCodes.step": {
        "logits": LOGITS, **LAW, "finished": DONE, "pad_token_id": 3, "top_p": 0.9
    },
    "ArithmeticCodes.copy": {},
    "ArithmeticCodes.to_bytes": {},
    "ArithmeticCodes.from_bytes": {"data": ArithmeticCodes(1, 2, rng=0).to_bytes()},
    "arithmetic_codes": {"n": 3, "codebook": "stratified", "rng": 0},
}  # fmt: skip

MADE = {"ArithmeticCodes": lambda: ArithmeticCodes(1, 2, rng=0)}
