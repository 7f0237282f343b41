"""The hold-out: bugs that a server of this API could have, planted in the emulator at run time.

Every row stands for one small defect that a client can see. `plant(patch, app)` is to be called
before the application is served.
"""

from tools.holdout.accounts import BETWEEN
from tools.holdout.background import BACKGROUND
from tools.holdout.http import HTTP
from tools.holdout.lifetime import LIFETIME
from tools.holdout.objects import OBJECTS
from tools.holdout.planting import Planted

PLANTED: tuple[Planted, ...] = (*BACKGROUND, *LIFETIME, *HTTP, *OBJECTS, *BETWEEN)
