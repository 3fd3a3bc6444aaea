"""Three ways into Hugging Face ``generate``, on a model of random weights that needs no download.

pip install 'sortes[transformers]'
"""

import time

import torch
from sortes.integrations.transformers import EtaLogitsWarper, SortesLogitsWarper, sample
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, LogitsProcessorList


def tiny_model() -> LlamaForCausalLM:
    """Make a small model with the vocabulary of a real one."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config).eval()


def main() -> None:
    model = tiny_model()
    prompt = torch.tensor([[1, 306, 763, 278], [1, 450, 12561, 338]])
    inputs = {"input_ids": prompt, "attention_mask": torch.ones_like(prompt)}
    # top_k=0, because 50 is the default and would cut again what the processors leave.
    config = GenerationConfig(
        do_sample=True, top_k=0, max_new_tokens=12, eos_token_id=None, pad_token_id=0
    )

    def show(title: str, **arguments: object) -> None:
        torch.manual_seed(7)
        start = time.perf_counter()
        ids = model.generate(**inputs, generation_config=config, **arguments)
        seconds = time.perf_counter() - start
        print(f"{title} ({seconds:.2f} s)")
        for row in ids[:, prompt.shape[1] :].tolist():
            print("   ", row)

    # A class with the name and the arguments of transformers' own.
    eta = LogitsProcessorList([EtaLogitsWarper(epsilon=3e-4)])
    show("one processor", logits_processor=eta)

    # A whole pipeline in one pass. Processors run before generate's own temperature, so the
    # temperature goes in here as well.
    pipeline = SortesLogitsWarper(temperature=0.8, top_n_sigma=1.5, min_p=0.02)
    show("a pipeline in one processor", logits_processor=LogitsProcessorList([pipeline]))

    # The whole sampling step: rules from the config and from the call, the draw ours.
    config.eta_cutoff = 3e-4
    ours = {"custom_generate": sample, "top_n_sigma": 2.0, "rng": 7}
    show("custom_generate", **ours)
    show("custom_generate, once more", **ours)


if __name__ == "__main__":
    main()
