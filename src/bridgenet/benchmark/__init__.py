"""Time, memory and arithmetic of networks on this machine, beside what the hardware could do.

- :mod:`cases` defines what is measured; :mod:`inference` and :mod:`training` measure it, each case in its own process
  (:mod:`isolation`), with the clocks and rates of :mod:`rates`;
- :mod:`cost` counts parameters, multiply-adds and bytes; :mod:`reference` has the published figures;
- :mod:`results` writes the results, :mod:`tables` prints them. Plots and other measurements are scripts in `benchmarks/`
  of the source tree.
"""
