"""The contract, compiled: operations, and marshmallow classes made from its schemas."""
