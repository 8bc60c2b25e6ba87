"""Scoring networks on data sets: pooled metrics, boundaries, test-time augmentation, the best constant."""
