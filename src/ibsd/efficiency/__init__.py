"""What a network costs at inference: counted and measured."""
