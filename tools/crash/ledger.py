"""What servers have answered, and what must therefore be there."""

import io
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from PIL import Image

# Of requests that nobody waited for an answer to: what they make may be there or not.
UNSURE = "unsure-"
MARK = b"crash-photograph:"  # before a tune's title and a semicolon, in each of its photographs


@dataclass
class World:
    """All objects whose creation was answered. A copy belongs to a snapshot or an export."""

    tunes: dict[int, str] = field(default_factory=dict)  # id -> title
    prompts: dict[int, dict[int, str]] = field(default_factory=dict)  # tune -> id -> text
    photos: dict[int, bytes] = field(default_factory=dict)  # tune -> uploaded bytes
    deleting: set[int] = field(default_factory=set)  # tunes whose deletion may have happened
    deleted: set[int] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)  # callbacks that had come before the copy

    def callbacks(self) -> Iterator[str]:
        for id, title in self.tunes.items():
            if id not in self.deleting:
                yield from (f"/tune/{title}", f"/nested/{title}")
                yield from (f"/prompt/{text}" for text in self.prompts.get(id, {}).values())

    def alive(self) -> set[tuple[int, str]]:
        return {one for one in self.tunes.items() if one[0] not in self.deleted}


@dataclass
class Ledger:
    """What was answered, and which callbacks arrived."""

    world: World = field(default_factory=World)
    received: Counter[str] = field(default_factory=Counter)  # path of the callback -> times
    # Paths of callbacks that a restored state sends again -> how often more they may come.
    repeated: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)  # paths of callbacks that may not have been sent
    event: str = "the start"
    during: dict[str, str] = field(default_factory=dict)  # title or text -> event
    totals: Counter[str] = field(default_factory=Counter)  # requests by what became of them

    def add_tune(self, id: int, title: str, photo: bytes) -> None:
        self.world.tunes[id] = title
        self.during[title] = self.event
        self.totals["tunes"] += 1
        if photo:
            self.world.photos[id] = photo

    def add_prompt(self, id: int, tune: int, text: str) -> None:
        self.world.prompts.setdefault(tune, {})[id] = text
        self.during[text] = self.event
        self.totals["prompts"] += 1

    def copy_world(self) -> World:
        """The world as it is now, for a state that is about to be taken."""
        made = deepcopy(self.world)
        # A call that came once in an earlier world may still be due in this one.
        counts = list(self.received.items())
        made.delivered = {path for path, n in counts if n > self.repeated[path]}
        return made

    def adopt(self, world: World) -> None:
        """Go on from a state that was restored. Calls that had not come then may come again."""
        self.repeated.update(path for path in world.callbacks() if path not in world.delivered)
        self.world = deepcopy(world)


def photograph(title: str, size: int = 0) -> bytes:
    """A PNG of 16 x 16 pixels with a mark that names its tune; at least `size` bytes."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 90, 120)).save(out, "PNG")
    mark = MARK + title.encode() + b";"
    return out.getvalue() + mark * (1 + size // len(mark))
