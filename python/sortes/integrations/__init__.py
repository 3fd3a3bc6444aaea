"""Drop-in classes for the projects that generate text, one module per project.

Import the one you need: ``sortes.integrations.transformers``, ``.vllm``, ``.llama_cpp``,
``.sglang``. Nothing here is imported by ``import sortes``.
"""
