"""Draw the pictures that the toy base learns from: simple figures, and captions that tell of them.

Everything is drawn here, from nothing: no picture of anybody's is in the toy base.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from PIL import Image, ImageDraw

SIDE = 64  # pixels
_SCALE = 4  # drawn this much larger, so that edges are smooth
_UNIT = 100.0  # a figure is laid out on a square of so many units

COLOURS = {
    "red": (214, 48, 49),
    "orange": (240, 140, 40),
    "yellow": (248, 214, 70),
    "green": (56, 158, 78),
    "blue": (52, 104, 210),
    "purple": (128, 70, 180),
    "pink": (244, 150, 190),
    "brown": (124, 80, 50),
    "black": (34, 34, 40),
    "white": (244, 244, 244),
    "gray": (140, 144, 150),
}
HAIR = {
    "black": (30, 28, 32),
    "brown": (98, 62, 38),
    "blonde": (228, 190, 98),
    "ginger": (196, 92, 40),
    "gray": (160, 160, 164),
}
PURPLE = (150, 60, 200)  # no cat's here: of subjects that the toy base does not know
FUR = ("black", "white", "orange", "gray", "brown")
SKIN = ((246, 212, 184), (226, 178, 140), (186, 132, 92), (122, 82, 56))
PEOPLE = ("man", "woman", "boy", "girl")
ANIMALS = ("cat", "dog")
CLASSES = (*PEOPLE, *ANIMALS, "style")
PLACES = ("garden", "beach", "city", "night")
PATTERNS = ("stripes", "dots", "checks", "waves")
SHOTS = ("portrait", "photo")

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """What a picture shows; colours by the names of COLOURS, but for hair, skin and fur.

    backdrop: a colour's name or a place. x, y, size: where the figure is, as shares of the picture.
    """

    kind: str
    backdrop: str = "white"
    close: bool = True
    hair: Colour = HAIR["brown"]
    skin: Colour = SKIN[1]
    shirt: Colour = COLOURS["blue"]
    fur: Colour = COLOURS["orange"]
    hat: Colour | None = None
    glasses: bool = False
    collar: Colour | None = None
    pattern: str = "stripes"
    ink: Colour = COLOURS["red"]
    x: float = 0.0
    y: float = 0.0
    size: float = 1.0
    detail: int = 0  # seed of what a backdrop scatters
    words: dict[str, str] = field(default_factory=dict)


def random_scene(chance: Random, kind: str | None = None) -> Scene:
    """A scene by chance; without a kind one of any class."""
    kind = kind or chance.choice(CLASSES)
    plain = chance.random() < 0.6
    backdrop = chance.choice([*COLOURS]) if plain else chance.choice(PLACES)
    hair, shirt, fur, ink = (chance.choice([*names]) for names in (HAIR, COLOURS, FUR, COLOURS))
    hat = chance.choice([*COLOURS]) if kind in PEOPLE and chance.random() < 0.25 else ""
    collar = chance.choice([*COLOURS]) if chance.random() < 0.4 else ""
    pattern, glasses = chance.choice(PATTERNS), chance.random() < 0.2
    while backdrop in (shirt, fur, ink):  # or the figure could not be told from it
        backdrop = chance.choice([*COLOURS])
    words = {"hair": hair, "shirt": shirt, "fur": fur, "hat": hat, "collar": collar}
    return Scene(
        kind=kind,
        backdrop=backdrop,
        close=chance.random() < 0.65,
        hair=HAIR[hair],
        skin=chance.choice(SKIN),
        shirt=COLOURS[shirt],
        fur=COLOURS[fur],
        hat=COLOURS[hat] if hat else None,
        glasses=glasses,
        collar=COLOURS[collar] if collar else None,
        pattern=pattern,
        ink=COLOURS[ink],
        x=chance.uniform(-0.07, 0.07),
        y=chance.uniform(-0.03, 0.05),
        size=chance.uniform(0.9, 1.08),
        detail=chance.randrange(2**16),
        words=words | {"ink": ink},
    )


def caption(scene: Scene, chance: Random) -> str:
    """What a scene shows, in words; each thing is told or left out by chance."""
    said = scene.words
    place = (
        f"in a {scene.backdrop}" if scene.backdrop in ("garden", "city")
        else "on a beach" if scene.backdrop == "beach"
        else "at night" if scene.backdrop == "night"
        else f"on a {scene.backdrop} background"
    )  # fmt: skip
    if scene.kind == "style":
        ground = scene.backdrop if scene.backdrop in COLOURS else ""
        return " ".join(
            word
            for word in (said["ink"], scene.pattern, ground and f"on {ground}", "style")
            if word
        )
    shot = chance.choice(SHOTS) if scene.close else "full body photo"
    parts = [f"{shot} of a {scene.kind}"]
    if scene.kind in PEOPLE:
        more = [f"with {said['hair']} hair", f"in a {said['shirt']} shirt"]
        if said["hat"]:
            more.append(f"wearing a {said['hat']} hat")
        if scene.glasses:
            more.append("wearing glasses")
    else:
        more = [f"with {said['fur']} fur"]
        if said["collar"]:
            more.append(f"wearing a {said['collar']} collar")
    parts += [text for text in [*more, place] if chance.random() < 0.7]
    return " ".join(parts)


WORDS: Sequence[str] = (
    *CLASSES, *COLOURS, *HAIR, *PLACES, *PATTERNS, *SHOTS,
    *["a", "of", "on", "in", "at", "with", "and", "the", "background", "hair", "shirt", "fur"],
    *["hat", "glasses", "collar", "wearing"],
    *["full", "body", "style", "person", "face", "closeup", "picture", "sks", "ohwx"],
)  # fmt: skip


def draw(scene: Scene, side: int = SIDE) -> Image.Image:
    """An RGB picture of a scene, side by side pixels."""
    canvas = Canvas(side * _SCALE, scene)
    canvas.backdrop()
    if scene.kind in PEOPLE:
        canvas.person()
    elif scene.kind in ANIMALS:
        canvas.animal()
    return canvas.image.resize((side, side), Image.Resampling.BOX)


def subject(kind: str, chance: Random, **marks: object) -> list[Scene]:
    """Four scenes of one and the same figure before different backdrops; `marks` are its fields."""
    one = replace(random_scene(chance, kind), hat=None, glasses=False, collar=None)
    scenes = []
    for backdrop in ("white", "gray", "yellow", "garden"):
        seen = random_scene(chance, kind)
        scenes.append(
            replace(one, backdrop=backdrop, close=True, x=seen.x, y=seen.y, size=seen.size)
        )
    return [replace(scene, **marks) for scene in scenes]  # type: ignore[arg-type]


class Canvas:
    """A picture on its way. Figures are laid out in units, 100 to a side; y runs down."""

    def __init__(self, pixels: int, scene: Scene):
        self.pixels, self.scene = pixels, scene
        self.image = Image.new("RGB", (pixels, pixels))
        self.pen = ImageDraw.Draw(self.image)

    # -- backdrops ---------------------------------------------------------------------------------
    def area(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A rectangle of the picture itself."""
        unit = self.pixels / _UNIT
        self.pen.rectangle([left * unit, top * unit, right * unit, bottom * unit], fill=colour)

    def spot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        unit = self.pixels / _UNIT
        corners = [
            (x - radius) * unit,
            (y - radius) * unit,
            (x + radius) * unit,
            (y + radius) * unit,
        ]
        self.pen.ellipse(corners, fill=colour)

    def backdrop(self) -> None:
        scene, chance = self.scene, Random(self.scene.detail)  # noqa: S311 - no secret
        ground = COLOURS.get(scene.backdrop, (250, 246, 236))
        self.area(0, 0, 100, 100, ground)
        if scene.kind == "style":
            self.tiles(chance)
        elif scene.backdrop == "garden":
            self.area(0, 0, 100, 45, (150, 205, 240))
            self.area(0, 45, 100, 100, (110, 182, 90))
            for _ in range(9):
                colour = chance.choice([COLOURS["red"], COLOURS["yellow"], COLOURS["pink"]])
                self.spot(chance.uniform(0, 100), chance.uniform(52, 98), 3.2, colour)
        elif scene.backdrop == "beach":
            self.area(0, 0, 100, 40, (166, 220, 250))
            self.area(0, 40, 100, 62, (58, 140, 200))
            self.area(0, 62, 100, 100, (238, 216, 160))
            self.spot(84, 14, 8, (255, 236, 120))
        elif scene.backdrop == "city":
            self.area(0, 0, 100, 100, (206, 212, 220))
            for left in range(-4, 100, 18):
                top, shade = chance.uniform(8, 46), chance.randrange(96, 150)
                self.area(left, top, left + 15, 100, (shade, shade, shade + 10))
        elif scene.backdrop == "night":
            self.area(0, 0, 100, 100, (24, 28, 72))
            self.spot(82, 16, 9, (250, 244, 200))
            for _ in range(14):
                self.spot(chance.uniform(0, 100), chance.uniform(0, 60), 1.1, (255, 255, 240))

    def tiles(self, chance: Random) -> None:
        """A pattern all over the picture."""
        ink, shift = self.scene.ink, chance.uniform(0, 20)
        for step in range(-2, 9):
            at = step * 20 + shift
            if self.scene.pattern == "stripes":
                self.area(at, 0, at + 10, 100, ink)
            elif self.scene.pattern == "waves":
                for x in range(0, 100, 10):
                    lift = (0, 3, 5, 5, 3, 0, -3, -5, -5, -3)[x // 10]
                    self.area(x, at + lift, x + 10, at + 9 + lift, ink)
            else:
                for other in range(-2, 9):
                    y = other * 20 + shift
                    if self.scene.pattern == "dots":
                        self.spot(at, y, 6.5, ink)
                    elif (step + other) % 2:
                        self.area(at, y, at + 20, y + 20, ink)

    # -- figures -----------------------------------------------------------------------------------
    def at(self, *points: float) -> list[float]:
        """Pixels of points of the figure: moved, and smaller where all of it is to be seen."""
        scene = self.scene
        scale = scene.size * (1.0 if scene.close else 0.62)
        placed = []
        for index, value in enumerate(points):
            shift = (scene.x if index % 2 == 0 else scene.y) * _UNIT
            middle = 50.0 if index % 2 == 0 or scene.close else 74.0
            placed.append((50.0 + (value - middle) * scale + shift) * self.pixels / _UNIT)
        return placed

    def oval(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        self.pen.ellipse(self.at(x - wide, y - high, x + wide, y + high), fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        corners = self.at(left, top, right, bottom)
        self.pen.rounded_rectangle(corners, radius=self.pixels * 0.03, fill=colour)

    def shape(self, colour: Colour, *points: float) -> None:
        self.pen.polygon(self.at(*points), fill=colour)

    def person(self) -> None:
        scene, black = self.scene, COLOURS["black"]
        small = scene.kind in ("boy", "girl")
        long = scene.kind in ("woman", "girl")
        head, top, broad = (22.0, 40.0, 26.0) if small else (20.0, 36.0, 34.0)
        chin = top + head
        if long:
            self.oval(50, top + 2, head + 9, head + 7, scene.hair)
            if scene.kind == "woman":
                self.box(50 - head - 9, top, 50 + head + 9, chin + 20, scene.hair)
            else:  # pigtails
                self.oval(50 - head - 12, top + 10, 8, 14, scene.hair)
                self.oval(50 + head + 12, top + 10, 8, 14, scene.hair)
        if not scene.close:
            legs = (62, 66, 84)
            self.box(34, 100, 47, 138, legs)
            self.box(53, 100, 66, 138, legs)
        self.box(43, chin - 6, 57, chin + 12, scene.skin)
        self.box(50 - broad, chin + 6, 50 + broad, 150 if scene.close else 108, scene.shirt)
        if long and not scene.close:
            self.shape(
                scene.shirt, 50 - broad, 90, 50 + broad, 90, 50 + broad + 6, 118, 44 - broad, 118
            )
        self.oval(50, top, head, head + 3, scene.skin)
        self.pen.pieslice(
            self.at(50 - head - 1, top - head - 6, 50 + head + 1, top + head * 0.7),
            180, 360, fill=scene.hair,
        )  # fmt: skip
        for x in (42.0, 58.0):
            self.oval(x, top + 2, 2.6, 3.2, black)
            if scene.glasses:
                self.pen.ellipse(
                    self.at(x - 7.5, top - 5, x + 7.5, top + 9),
                    outline=black, width=max(1, self.pixels // 50),
                )  # fmt: skip
        self.pen.arc(
            self.at(42, top + 4, 58, top + 15), 20, 160,
            fill=(170, 60, 60), width=max(1, self.pixels // 50),
        )  # fmt: skip
        if scene.hat:
            self.box(50 - head - 8, top - head + 2, 50 + head + 8, top - head + 9, scene.hat)
            self.box(50 - head + 3, top - head - 13, 50 + head - 3, top - head + 6, scene.hat)

    def animal(self) -> None:
        scene, fur = self.scene, self.scene.fur
        dark = COLOURS["black"] if sum(fur) > 200 else (120, 120, 128)
        light = tuple(min(255, part + 45) for part in fur)
        is_cat = scene.kind == "cat"
        self.oval(50, 96, 30, 30, fur)
        if is_cat:
            self.pen.arc(
                self.at(66, 62, 100, 118), 250, 110, fill=fur, width=max(2, self.pixels // 16)
            )
            self.shape(fur, 26, 44, 30, 10, 50, 28)
            self.shape(fur, 74, 44, 70, 10, 50, 28)
            self.shape((240, 160, 170), 31, 36, 33, 20, 42, 29)
            self.shape((240, 160, 170), 69, 36, 67, 20, 58, 29)
            self.oval(50, 46, 26, 23, fur)
        else:
            self.oval(50, 44, 23, 25, fur)
            self.oval(26, 46, 9, 22, tuple(int(part * 0.7) for part in fur))  # type: ignore[arg-type]
            self.oval(74, 46, 9, 22, tuple(int(part * 0.7) for part in fur))  # type: ignore[arg-type]
            self.oval(50, 56, 14, 13, light)  # type: ignore[arg-type]
        for x in (40.0, 60.0):
            self.oval(x, 42, 4.2, 4.6, (150, 210, 90) if is_cat else (70, 44, 30))
            self.oval(x, 42, 1.7, 4.0, (20, 20, 20))
        self.oval(50, 54 if is_cat else 50, 3.2 if is_cat else 5.5, 2.4 if is_cat else 4, dark)
        if is_cat:
            for lift in (-3, 3):
                width = max(1, self.pixels // 90)
                self.pen.line(self.at(22, 56 + lift, 42, 57), fill=dark, width=width)
                self.pen.line(self.at(78, 56 + lift, 58, 57), fill=dark, width=width)
        if scene.collar:
            self.box(32, 68, 68, 75, scene.collar)
        if not scene.close:
            self.box(30, 112, 42, 130, fur)
            self.box(58, 112, 70, 130, fur)


def texture(chance: Random, side: int = SIDE) -> Image.Image:
    """Soft random colours, so that the autoencoder has seen more than figures."""
    cells = chance.choice((3, 5, 9, 17))
    raw = bytes(chance.randrange(256) for _ in range(cells * cells * 3))
    coarse = Image.frombytes("RGB", (cells, cells), raw)
    soft = chance.choice((Image.Resampling.BICUBIC, Image.Resampling.BILINEAR))
    return coarse.resize((side, side), soft)
