"""The machine: files, memory, processes, signals, compilers. Nothing here knows what the project is about."""
