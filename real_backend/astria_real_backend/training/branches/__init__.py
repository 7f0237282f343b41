"""The families of models that can be trained, one module each."""
