"""Pictures to learn from. Read in this order:

- `pairs`: folders of LR and HR images matched by name, checked before use, and kept apart between
train, val and test;
- `degradations`: a camera-like way to make an LR image where only an HR image exists;
- `samples`: the photographs inside the package, and pairs made from them;
- `patches`: patches of checked pairs, cut where the student is trained.

Nothing is imported here, so that matching folders does not wait for torch.
"""
