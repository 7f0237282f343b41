"""Schedulers by the API's names."""

from collections.abc import Mapping
from typing import Any

import diffusers

# Name -> diffusers' class, and its options. `dpm++sde` adds noise in each step; diffusers' own
# class for it needs torchsde, and this one does not.
SCHEDULERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "dpm++2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpm++sde_karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    ),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}


def make_scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """A scheduler of the base's own noise; `config` is that of the base's scheduler.

    Made from the base's own configuration each time: another scheduler's would lose options.
    """
    kind, options = SCHEDULERS[name]
    return getattr(diffusers, kind).from_config(dict(config), **options)
