"""The contract, `openapi.yaml`, as data: operations, constraints, and values that test them."""
