"""The backend that draws pictures without a model."""
