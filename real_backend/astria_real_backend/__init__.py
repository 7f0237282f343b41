"""A backend that trains: Stable Diffusion, fine-tuned for real behind the same API.

Importing it is light: torch is loaded by the processes that work, never here.
"""
