"""Custom data: a folder and the YAML file that describes it, or a class of the user's."""
