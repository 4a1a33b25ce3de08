"""The one error of the project, and the collector that reports every problem of a thing at once."""

__all__ = ["HillockError", "Problems"]


class HillockError(Exception):
    """Something the user gave cannot be used.

    The text names the thing, the rule, the value received and the way out; the command line prints it and
    nothing else. A problem of our own making is never a `HillockError`.
    """


class Problems:
    """Collects what is wrong with one thing, so that all of it is reported together.

    Parameters
    ----------
    subject : str
        What is being checked, as the user knows it ("network digits", "core configuration").
    """

    def __init__(self, subject: str):
        self.subject = subject
        self.texts: list[str] = []

    def require(self, condition: object, text: str) -> bool:
        """Record `text` unless `condition` holds; returns whether it held, for checks that build on it."""
        if not condition:
            self.texts.append(text)
        return bool(condition)

    def raise_any(self) -> None:
        """Raise one `HillockError` with every recorded problem; do nothing when there is none."""
        if len(self.texts) == 1:
            raise HillockError(f"{self.subject}: {self.texts[0]}")
        if self.texts:
            listed = "".join(f"\n  - {text}" for text in self.texts)
            raise HillockError(f"{self.subject}: {len(self.texts)} problems{listed}")
