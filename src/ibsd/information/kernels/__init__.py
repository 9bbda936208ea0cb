"""Ways of computing the bound's N^2 pairs. Read `form.py` (what is computed, and which way when),
then `eager.py`, `bound.c`, `fused.py`."""
