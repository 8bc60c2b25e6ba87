"""Pictures: reading them, thinning line maps, drawing. Nothing here knows what a task is."""
