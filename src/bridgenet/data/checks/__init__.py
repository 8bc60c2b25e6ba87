"""Looking at data before anything is trained on them: faults, statistics, label counts, contact sheets."""
