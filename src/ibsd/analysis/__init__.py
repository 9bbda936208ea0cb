"""What a student's features still tell: about the degradation, and about each other."""
