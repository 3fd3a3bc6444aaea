"""SortesScheduler in pipelines of diffusers: small, of random weights, made without downloads."""

import copy
import json

import numpy as np
import pytest
import torch
from sortes.diffusion import Denoiser, Path, from_diffusers, plan, sample

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
from sortes.integrations.diffusers import SortesScheduler  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # theirs, of NumPy
    "ignore::FutureWarning",  # theirs, of each other
    "ignore::UserWarning",
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def unconditional():
    """A pipeline of images without prompts."""
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    network = diffusers.UNet2DModel(
        8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, **blocks
    )
    pipe = diffusers.DDPMPipeline(network.eval(), diffusers.DDPMScheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def images(pipe, **options):
    return pipe(output_type="np", generator=seeded(), **options).images


def test_their_scheduler_is_replaced(unconditional):
    """DDPM's own pipeline makes the same images with our plan of DDPM."""
    pipe, theirs = unconditional, unconditional.scheduler
    before = images(pipe, batch_size=2, num_inference_steps=10)
    pipe.scheduler = SortesScheduler.from_config(theirs.config, solver="ddpm")
    after = images(pipe, batch_size=2, num_inference_steps=10)
    pipe.scheduler = theirs
    np.testing.assert_allclose(after, before, atol=2e-5)


@pytest.mark.parametrize("solver", ["unipc", "heun", "dpmpp_2m_sde", "er_sde", "seeds_3"])
def test_a_pipeline_is_our_loop(unconditional, solver):
    pipe, theirs = unconditional, unconditional.scheduler
    ours = SortesScheduler.from_config(theirs.config, solver=solver, clip_sample=False)
    pipe.scheduler = ours
    got = images(pipe, batch_size=2, num_inference_steps=6)
    pipe.scheduler = theirs
    made = plan(solver, ours._run.path)
    generator = seeded()
    x = torch.randn(2, 3, 8, 8, generator=generator)
    noise = [torch.randn(2, 3, 8, 8, generator=generator) for _ in range(made.n_draws)]
    given = {"noise": torch.stack(noise)} if noise else {}
    end = sample(from_diffusers(pipe.unet, ours, made.path), x, made, **given)
    wanted = (end / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(got, wanted, atol=2e-5)


def test_a_pipeline_is_saved_and_read(unconditional, tmp_path):
    """With its scheduler, which diffusers finds by its module."""
    pipe, theirs = unconditional, unconditional.scheduler
    options = {"solver_type": "heun"}
    pipe.scheduler = SortesScheduler.from_config(theirs, solver="dpmpp_2m", solver_options=options)
    before = images(pipe, num_inference_steps=4)
    pipe.save_pretrained(tmp_path)
    pipe.scheduler = theirs
    again = diffusers.DDPMPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    assert isinstance(again.scheduler, SortesScheduler)
    assert again.scheduler.config.solver_options == options
    np.testing.assert_allclose(images(again, num_inference_steps=4), before, atol=1e-5)
    copy.deepcopy(again.scheduler)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tokenizer of five words."""
    folder = tmp_path_factory.mktemp("words")
    words = ["<|startoftext|>", "<|endoftext|>", "a</w>", "cat</w>", "dog</w>", "!</w>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    return transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=8
    )


@pytest.fixture(scope="module")
def parts(tokenizer):
    """The networks of Stable Diffusion, each of some thousand weights."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
    )
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=8,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    return {
        **{"unet": unet.eval(), "vae": vae.eval(), "text_encoder": text.eval()},
        **{"tokenizer": tokenizer, "safety_checker": None, "feature_extractor": None},
    }


TRAINED = {
    **{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
    "steps_offset": 1,
}


def latents(pipe, cls=None, **options):
    given = {"guidance_scale": 3.0, "num_inference_steps": 6, "output_type": "latent"}
    return pipe("a cat", generator=seeded(), **{**given, **options}).images


@pytest.fixture(scope="module")
def stable(parts):
    scheduler = diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, **TRAINED)
    pipe = diffusers.StableDiffusionPipeline(
        **parts, scheduler=scheduler, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_stable_diffusion(stable):
    """With a prompt and guidance: the images of theirs, with their DDIM, DPM-Solver++ and UniPC."""
    theirs = stable.scheduler
    for cls, solver, options in [
        ("DDIMScheduler", "ddim", {}),
        ("DPMSolverMultistepScheduler", "dpmpp_2m", {}),
        ("UniPCMultistepScheduler", "unipc", {"order": 2}),
    ]:
        stable.scheduler = getattr(diffusers, cls).from_config(theirs.config)
        before = latents(stable)
        stable.scheduler = SortesScheduler.from_config(
            stable.scheduler.config, solver=solver, solver_options=options
        )
        after = latents(stable)
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    stable.scheduler = theirs


def test_stable_diffusion_by_any_times_and_levels(stable):
    """The pipeline's own arguments, which look at the signature of set_timesteps."""
    theirs = stable.scheduler
    stable.scheduler = SortesScheduler.from_config(theirs.config, solver="heun", schedule="karras")
    seen = []

    def watch(pipe, i, t, tensors):
        seen.append((i, float(t)))
        return tensors

    assert latents(stable, callback_on_step_end=watch).isfinite().all()
    assert len(seen) == 11
    times = [900, 500, 100]
    one = latents(stable, timesteps=times)
    table = stable.scheduler._training.alphas_cumprod
    two = latents(stable, sigmas=[*np.sqrt(1 / table[times] - 1).tolist(), 0.0292])
    assert one.shape == two.shape
    stable.scheduler = SortesScheduler.from_config(
        theirs.config, solver="ddim", final_sigmas_type="zero"
    )
    one = latents(stable, timesteps=times)
    two = latents(stable, sigmas=np.sqrt(1 / table[times] - 1).tolist())
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
    stable.scheduler = theirs


def test_images_to_images(stable, parts):
    pipe = diffusers.StableDiffusionImg2ImgPipeline(
        **parts, scheduler=stable.scheduler, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    image = torch.rand(1, 3, 16, 16, generator=seeded(1))
    ends = []
    for scheduler in (
        diffusers.DPMSolverMultistepScheduler.from_config(stable.scheduler.config),
        None,
    ):
        pipe.scheduler = scheduler or SortesScheduler.from_config(
            pipe.scheduler.config, solver="dpmpp_2m"
        )
        ends.append(latents(pipe, image=image, strength=0.5, num_inference_steps=10))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-4, atol=1e-4)


def test_noise_of_each_image(stable):
    """A generator for each: image 2 of a batch is the one made alone."""
    theirs = stable.scheduler
    stable.scheduler = SortesScheduler.from_config(theirs.config, solver="dpmpp_2m_sde")
    given = {"num_inference_steps": 5, "output_type": "latent", "guidance_scale": 1.0}

    def made(seeds):
        generators = [seeded(seed) for seed in seeds]
        return stable(["a cat"] * len(seeds), generator=generators, **given).images

    together = made(range(4))
    torch.testing.assert_close(made([2])[0], together[2], rtol=1e-4, atol=1e-5)
    stable.scheduler = theirs


@pytest.fixture(scope="module")
def flow(tokenizer):
    """The smallest pipeline of flows: labels to images, by a transformer."""
    torch.manual_seed(0)
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
    )
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(
        sample_size=8,
        block_out_channels=(4,),
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        norm_num_groups=1,
        latent_channels=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0609,
        scaling_factor=1.5035,
    )
    pipe = diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae.eval(),
        transformer=transformer.eval(),
        **dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def flux(pipe, **options):
    torch.manual_seed(5)
    return pipe(
        prompt_embeds=torch.randn(1, 4, 16),
        pooled_prompt_embeds=torch.randn(1, 16),
        height=8,
        width=8,
        guidance_scale=1.0,
        output_type="latent",
        generator=seeded(),
        **{"num_inference_steps": 5, **options},
    ).images


def test_flux(flow):
    """The pipeline gives levels and the shift: Euler's method is theirs, others are accepted."""
    theirs = flow.scheduler
    before = flux(flow)
    flow.scheduler = SortesScheduler.from_config(theirs.config, solver="flow_euler")
    torch.testing.assert_close(flux(flow), before, rtol=1e-5, atol=1e-5)
    for solver in ("unipc", "dpmpp_2m", "heun", "cps", "er_sde"):
        flow.scheduler = SortesScheduler.from_config(theirs.config, solver=solver)
        assert flux(flow).isfinite().all(), solver
    # Levels of a user's own.
    assert flux(flow, sigmas=[1.0, 0.8, 0.3]).isfinite().all()
    assert len(flow.scheduler.timesteps) == 3
    flow.scheduler = theirs


def test_flux_is_our_loop(flow):
    theirs = flow.scheduler
    even = SortesScheduler.from_config(theirs, solver="unipc", use_dynamic_shifting=False)
    flow.scheduler = even
    asked = []
    whole = flow.transformer.forward

    def watched(**args):
        asked.append(args)
        return whole(**args)

    flow.transformer.forward = watched
    got = flux(flow)
    del flow.transformer.forward
    path = Path.flow(np.append(np.linspace(1, 1 / 5, 5), 0), t_scale=1.0)
    np.testing.assert_allclose(even.sigmas, path.sigma, rtol=1e-6)
    conditions = {key: asked[0][key] for key in asked[0].keys() - {"hidden_states", "timestep"}}

    def network(x, t):
        return flow.transformer(hidden_states=x, timestep=t, **conditions)

    denoiser = Denoiser(network, prediction="flow_prediction")
    end = sample(denoiser, asked[0]["hidden_states"], plan("unipc", path))
    flow.scheduler = theirs
    torch.testing.assert_close(got, end, rtol=1e-4, atol=1e-5)


def test_flows_of_images_to_images(flow):
    """The pipeline noises an image by `scale_noise` and begins in the middle."""
    pipe = diffusers.FluxImg2ImgPipeline(**flow.components)
    pipe.set_progress_bar_config(disable=True)
    image = torch.rand(1, 3, 8, 8, generator=seeded(1))
    theirs = flow.scheduler
    ends = []
    for scheduler in (theirs, SortesScheduler.from_config(theirs, solver="flow_euler")):
        pipe.scheduler = scheduler
        ends.append(flux(pipe, image=image, strength=0.6, num_inference_steps=10))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-5, atol=1e-5)
    pipe.scheduler = SortesScheduler.from_config(theirs, solver="heun")
    assert flux(pipe, image=image, strength=0.6, num_inference_steps=10).isfinite().all()
