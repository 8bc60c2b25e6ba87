"""Decoders: backbone maps in, per-task features and intermediate logits out. One folder each."""
