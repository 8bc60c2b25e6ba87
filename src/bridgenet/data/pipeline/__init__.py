"""From samples to batches: transforms, random views, sampling, caching, loading."""
