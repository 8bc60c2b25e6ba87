"""Training: the step-based loop and its parts."""
