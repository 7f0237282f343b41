"""How much of the contract a run has covered.

An operation counts once it has succeeded, a status and a media type once answered, a callback once
received, and a side of a constraint once a request within it was taken, or one beyond it refused.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from astria_contracts.spec.document import Document, Operation
from astria_contracts.spec.sides import Constraint, Sides

# Statuses that no request can cause: only a server with fault injection answers them.
NOT_ON_REQUEST = {
    429: "needs a server that is told to slow clients down",
    500: "needs a server that is told to fail",
    504: "needs a server that is told to be late",
}
NONE: Mapping[str, Any] = MappingProxyType({})
OTHER_SUCCESS = {204: 200}  # the contract allows both


@dataclass
class Part:
    """Items of one kind: those expected, those seen, and those exempt, with the reason."""

    name: str
    expected: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    exempt: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        return [one for one in self.expected if not self.seen[one] and one not in self.exempt]

    @property
    def share(self) -> float:
        """The share seen of what is not exempt, rounded down to thousandths; 1.0 is all."""
        total = sum(one not in self.exempt or bool(self.seen[one]) for one in self.expected)
        return 1.0 if not total else 1000 * (total - len(self.missing)) // total / 1000

    def as_json(self) -> dict[str, Any]:
        total = len(self.expected)
        exempt = {one: why for one, why in self.exempt.items() if not self.seen[one]}
        return {
            "total": total,
            "seen": sum(bool(self.seen[one]) for one in self.expected),
            "share": self.share,
            "missing": self.missing,
            "exempt": exempt,
        }


class Coverage:
    """Counts what requests and answers cover."""

    def __init__(self, document: Document):
        self._sides = Sides(document)
        self._both: set[Constraint] = set()
        self.operations = Part("operations")
        self.statuses = Part("statuses")
        self.media_types = Part("media types")
        self.callbacks = Part("callbacks")
        self.constraints = Part("constraint sides")
        for operation in document.operations.values():
            self._expect(operation)

    @property
    def parts(self) -> tuple[Part, ...]:
        known = (self.operations, self.statuses, self.media_types, self.callbacks)
        return (*known, self.constraints)

    def _expect(self, operation: Operation) -> None:
        id = operation.id
        self.operations.expected.append(id)
        for status, kinds in operation.responses.items():
            label = f"{id} {status}"
            self.statuses.expected.append(label)
            other = OTHER_SUCCESS.get(status)
            if status in NOT_ON_REQUEST:
                self.statuses.exempt[label] = NOT_ON_REQUEST[status]
            elif other in operation.responses:
                self.statuses.exempt[label] = f"the contract allows {other} or {status}"
            for kind in kinds:
                self.media_types.expected.append(f"{label} gives {kind}")
                if label in self.statuses.exempt:
                    why = self.statuses.exempt[label]
                    self.media_types.exempt[f"{label} gives {kind}"] = why
        self.media_types.expected += [f"{id} takes {kind}" for kind in operation.bodies]
        self.callbacks.expected += [f"{id} {name}" for name in operation.callbacks]
        for constraint in self._sides.of[id]:
            within, beyond = labels(constraint)
            self.constraints.expected += [within, beyond]
            if constraint.one_sided:
                self.constraints.exempt[beyond] = constraint.one_sided

    def record(
        self,
        operation: Operation,
        status: int,
        *,
        kind: str,
        media_type: str | None = None,
        path: Mapping[str, Any] = NONE,
        query: Mapping[str, Any] = NONE,
        headers: Mapping[str, Any] = NONE,
        body: Any = NONE,
    ) -> None:
        """Count a request and its answer; `kind` is the answer's media type."""
        taken, refused = status < 400, 400 <= status < 500
        label = f"{operation.id} {status}"
        self.statuses.seen[label] += 1
        self.media_types.seen[f"{label} gives {kind}"] += 1
        if taken:
            self.operations.seen[operation.id] += 1
            if media_type:
                self.media_types.seen[f"{operation.id} takes {media_type}"] += 1
        touched = self._sides.of_request(
            operation, path=path, query=query, headers=headers, body=body
        )
        for constraint, within in touched:
            if taken and (within or constraint.keyword == "x-clamp"):
                self.constraints.seen[labels(constraint)[not within]] += 1
            elif refused and not within:
                self.constraints.seen[labels(constraint)[1]] += 1

    def record_callback(self, operation: str, name: str) -> None:
        self.callbacks.seen[f"{operation} {name}"] += 1

    def summary(self) -> Iterator[tuple[str, int, int, float]]:
        """For each part: name, items seen, items not exempt, share."""
        for part in self.parts:
            summary = part.as_json()
            yield (
                part.name,
                summary["seen"],
                summary["total"] - len(summary["exempt"]),
                summary["share"],
            )


def labels(constraint: Constraint) -> tuple[str, str]:
    """The names of both sides of a constraint."""
    label = f"{constraint.operation} {constraint.label}"
    return f"{label}, within", f"{label}, beyond"
