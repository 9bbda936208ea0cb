"""Two photographs of one scene become pairs that a network can learn from.

- `matching.py`: which files belong together. `splits.py`: which scenes are for what.
- `coarse.py`, `fine.py`: where LR's points lie in HR. `mapping.py`, `tiles.py`: their parts.
- `colour.py`: HR in LR's colours. `masks.py`: what cannot be used, and why.
- `scene.py`: one scene with all of it. `crops.py`: pairs cut from it.
- `planted.py`: scenes whose truth is known.

It needs OpenCV, the extra `register`.
"""

from ibsd.registration.coarse import coarse_match
from ibsd.registration.scene import RefusedError, Registered, register_pair

__all__ = ["RefusedError", "Registered", "coarse_match", "register_pair"]
