"""Prediction on whatever people have: pictures, folders, addresses, videos, cameras. See `docs/predict.md`.

`inputs` finds and reads, `network` and `tiling` compute, `result`, `writing`, `points` and `video` draw and write, `manifest`
remembers, `run` joins them. All but `network` and `tiling` do without PyTorch.
"""
