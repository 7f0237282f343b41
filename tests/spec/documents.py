"""OpenAPI documents for tests."""

from typing import Any


def operation(**node: Any) -> Any:
    return {"operationId": "it", "responses": {"200": {"description": "Done."}}, **node}
