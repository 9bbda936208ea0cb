"""The cost of a network at inference: counted and measured."""
