"""The command line, one file per command; `main` joins them, `errors` and exit codes are in one place there."""
