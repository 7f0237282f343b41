"""The properties that a server must have, as tests: a file for each class of them."""
