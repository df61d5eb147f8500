"""Shipped checkpoints: one folder each, with config.json, model.safetensors and a model card (README.md)."""
