"""Drop-in classes and functions for other projects, one module per project.

Text generation: ``sortes.integrations.transformers``, ``.vllm``, ``.sglang``, ``.llama_cpp``.
Samplers of images: ``.diffusers``. Sketches of tables: ``.arrow``, ``.dask``, ``.ray``. Kernels of
graphs: ``.gpytorch``. Chains on models: ``.pymc``. Import the one you need; nothing here is
imported by ``import sortes``.
"""
