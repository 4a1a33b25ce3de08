"""HTML pages that need nothing but themselves, from the templates beside this file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .svg import COLOURS
from .words import fixed, percent

__all__ = ["render"]


def render(template: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., str]]) -> str:
    """The page that `template` makes of `values`: no scripts, nothing from outside, the same bytes for the same values.

    Besides `filters` there are `fixed` and `percent`, and the colours of the plots. A value that is missing is an
    error.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(fixed=fixed, percent=percent, **filters)
    return environment.get_template(template).render(values, colours=COLOURS) + "\n"
