"""Another name of `dtorch.model_zoo`."""

from dtorch.model_zoo import load_url

__all__ = ["load_url"]
