"""Numbers as a reader wants them."""

__all__ = ["brief", "fixed", "of", "percent", "rough"]


def of(count: int, noun: str, ending: str = "s") -> str:
    """A count with its noun, in the plural where it is not one."""
    return f"{count:,} {noun}{'' if count == 1 else ending}"


def fixed(value: float) -> str:
    """One decimal below a thousand, none above: what can be read at a glance."""
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def brief(value: float) -> str:
    """The same, and millions from a million on: for narrow columns."""
    return fixed(value) if value < 1e6 else f"{value / 1e6:,.2f} M"


def percent(share: float, decimals: int = 1) -> str:
    """A share in percent."""
    return f"{100 * share:.{decimals}f}\N{NO-BREAK SPACE}%"


def rough(value: float) -> str:
    """Three digits."""
    for unit, size in (("million", 1e6), ("thousand", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
