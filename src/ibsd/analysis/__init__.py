"""What a student's features still tell: of the degradation, and of each other."""
