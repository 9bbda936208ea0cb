"""Pictures to learn from. Read in this order:

- `pairs` and `layouts`: folders of LR and HR images, recognised and matched by name;
- `integrity`: their files read once, checked, and kept apart between train, val and test;
- `image_stack` and `patches`: images decoded once, and patches cut where the student is trained;
- `degradation` and `presets`: LR made from HR on the device; `degraded_patches` trains on it;
- `camera_like` and `samples`: the photographs inside the package, and pairs made from them.

Nothing is imported here, so that matching folders does not wait for torch.
"""
