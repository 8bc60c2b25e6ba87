"""What networks cost on this machine: time, memory and arithmetic, beside what the hardware could do.

- :mod:`cases` says what is measured; :mod:`inference` and :mod:`training` measure it, each case in a process of its own
  (:mod:`isolation`), with the clocks and rates of :mod:`rates`;
- :mod:`cost` counts parameters, multiply-adds and bytes; :mod:`reference` has the published figures;
- :mod:`results` keeps what was found, :mod:`tables` shows it. Pictures of it, and what else costs time, are scripts in
  `benchmarks/` of the source tree.
"""
