"""The bundled toy bases, one folder of weights for each family, and the script that trains them."""
