"""Configs: TOML files as frozen dataclasses."""
