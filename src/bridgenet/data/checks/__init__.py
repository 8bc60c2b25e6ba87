"""Check data before training: faults, statistics, label counts, contact sheets."""
