"""What networks cost on this machine: time, memory and arithmetic, beside what the hardware could do.

- :mod:`cases` says what is measured; :mod:`inference`, :mod:`training`, :mod:`data` and :mod:`metrics` measure it, each in a process of
  its own (:mod:`isolation`), with the clocks and rates of :mod:`rates`;
- :mod:`cost` counts parameters, multiply-adds and bytes; :mod:`reference` has the published figures;
- :mod:`results` keeps what was found, :mod:`tables` and :mod:`plots` show it, :mod:`lines` fits lines to it.
"""
