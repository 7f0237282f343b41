"""The hold-out: bugs that a server of this API could have, planted in the emulator at run time.

Every row stands for one small defect that a client can see. `plant(patch, app)` is to be called
before the application is served.
"""

from tools.holdout.accounts import BETWEEN
from tools.holdout.fate import FATE
from tools.holdout.http import HTTP
from tools.holdout.things import THINGS
from tools.holdout.ways import Planted
from tools.holdout.work import WORK

PLANTED: tuple[Planted, ...] = (*WORK, *FATE, *HTTP, *THINGS, *BETWEEN)
