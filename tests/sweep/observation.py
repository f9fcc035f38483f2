"""What the sweep printed: one observation for each state, case and symbol."""

import dataclasses

DID_NOT_RETURN = ("crashes", "exits", "hangs", "missing")


@dataclasses.dataclass(frozen=True)
class Observation:
    state: str
    case: str
    symbol: str
    words: tuple  # result, then what sweep.cc says

    @property
    def returned(self):
        return self.words[0] not in DID_NOT_RETURN and not any(word in DID_NOT_RETURN for word in self.words)

    @property
    def result(self):
        return self.words[0]

    def _after(self, word):
        return self.words[self.words.index(word) + 1] if word in self.words else None

    @property
    def deferred(self):
        return self._after("then")

    @property
    def stays(self):
        return self._after("stays")

    @property
    def code(self):
        """The program's answer, whether with the call or with the wait after it."""
        return self.deferred if self.result == "SUCCESS" and self.deferred else self.result

    @property
    def key(self):
        return self.state, self.case, self.symbol

    def __str__(self):
        return " ".join([*self.key, *self.words])


def read(text):
    """Observations by key. A second line about a call says how its process ended; it belongs to the first."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4:
            raise ValueError(f"[{line}] is no line of the sweep.")
        key = tuple(words[:3])
        before = found[key].words if key in found else ()
        found[key] = Observation(*key, before + tuple(words[3:]))
    return found
