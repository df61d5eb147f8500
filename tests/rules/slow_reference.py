"""The nine rules of the magenta book in plain Python, event by event, straight from their definitions.

Each function maps a tune to the list of its rewards.
"""

from collections.abc import Callable
from fractions import Fraction

REST, HOLD = 0, 1
C, E, G = 0, 4, 7  # pitch classes
MIDDLE_C = 14  # as a class


def is_onset(event: int) -> bool:
    return event >= 2


def pitch_class(event: int) -> int:
    return (event + 46) % 12


def last_onset_before(tune: list[int], t: int) -> int | None:
    return next((event for event in reversed(tune[:t]) if is_onset(event)), None)


def key(tune: list[int]) -> list[float]:
    white = {0, 2, 4, 5, 7, 9, 11}
    return [-1.0 if is_onset(event) and pitch_class(event) not in white else 0.0 for event in tune]


def tonic(tune: list[int]) -> list[float]:
    rewards = []
    for t, event in enumerate(tune):
        left = len(tune) - t  # events from here to the end, this one included
        if t == 0 or left == 4:
            earned = event == MIDDLE_C
        elif left == 3:
            earned = event == HOLD
        else:
            earned = left < 3 and event in (REST, HOLD)
        rewards.append(3.0 if earned else 0.0)
    return rewards


def penalize_repeating(tune: list[int]) -> list[float]:
    rewards = []
    for t, event in enumerate(tune):
        same, broken = 0, False
        for earlier in reversed(tune[:t]):
            if earlier == event:
                same += 1
            elif is_onset(earlier):
                break
            else:
                broken = True
        limit = 1 if event == REST else 6 if broken else 4
        rewards.append(-100.0 if same > limit else 0.0)
    return rewards


def penalize_autocorrelation(tune: list[int]) -> list[float]:
    rewards = []
    for t in range(len(tune)):
        heard = tune[: t + 1]
        count, total = len(heard), sum(heard)
        centred = [count * x - total for x in heard]  # whole numbers: n times the deviation from the mean
        power = sum(x * x for x in centred)
        loss = Fraction(0)
        for lag in (1, 2, 3):
            product = sum(x * y for x, y in zip(centred, centred[lag:], strict=False))
            if power and abs(Fraction(product, power)) > Fraction(15, 100):
                loss += 3 * abs(Fraction(product, power))
        rewards.append(-float(loss))
    return rewards


def pitches_of_motif(tune: list[int], t: int, steps: int) -> int:
    """Distinct onsets among the `steps` events that end at t; 0 where they make no motif."""
    if t + 1 < steps:
        return 0
    distinct = len({event for event in tune[t + 1 - steps : t + 1] if is_onset(event)})
    return distinct if distinct >= 3 else 0


def motif(tune: list[int], steps: int = 8) -> list[float]:
    counts = [pitches_of_motif(tune, t, steps) for t in range(len(tune))]
    return [3.0 + 0.3 * (count - 3) if count else 0.0 for count in counts]


def repeated_motif(tune: list[int], steps: int = 8) -> list[float]:
    rewards = []
    for t in range(len(tune)):
        count = pitches_of_motif(tune, t, steps)
        start = t + 1 - steps
        now = tune[max(start, 0) : t + 1]
        came_before = any(tune[s : s + steps] == now for s in range(start - steps + 1))
        rewards.append(4.0 + (count - 3) if count and came_before else 0.0)
    return rewards


def preferred_intervals(tune: list[int]) -> list[float]:
    plain = {2: 0.08, 4: 0.09, 5: 0.07, 7: 0.02, 9: 0.05, 11: -0.3}
    rewards = []
    for t, event in enumerate(tune):
        previous = last_onset_before(tune, t)
        if previous is None:
            rewards.append(0.0)
            continue
        left = pitch_class(previous)
        size = abs(event - previous)
        if event == REST:
            value = 0.15 if left in (C, G) else 0.05
        elif event == HOLD:
            value = 0.3 if left in (C, G) else 0.075
        elif size > 12:
            value = -1.0
        elif size == 4 and left in (C, E):
            value = 0.15
        elif size == 7 and left in (C, G):
            value = 0.1
        else:
            value = plain.get(size, 0.0)
        rewards.append(5 * value)
    return rewards


def leap_up_back(tune: list[int]) -> list[float]:
    rewards = [0.0] * len(tune)
    open_leap: tuple[int, int] | None = None  # the note it left, the step it landed on (renewed when doubled)
    ascending = False
    for t, event in enumerate(tune):
        previous = last_onset_before(tune, t)
        if previous is None or not is_onset(event):
            continue
        leaps = abs(event - previous) >= 7
        if open_leap is None:
            if leaps:
                open_leap, ascending = (previous, t), event > previous
            continue
        left, landed = open_leap
        if leaps and (event > previous) == ascending:
            rewards[t] = -5.0
            open_leap = (left, t)
        elif leaps:
            rewards[t] = 5.0 if len(tune[landed + 1 : t]) > 6 else 0.0
            open_leap = None
        elif (event <= left) if ascending else (event >= left):
            rewards[t] = 5.0
            open_leap = None
    return rewards


def high_low_unique(tune: list[int]) -> list[float]:
    rewards = [0.0] * len(tune)
    onsets = [event for event in tune if is_onset(event)]
    if tune and tune.count(max(tune)) == 1:
        rewards[-1] += 3.0
    if onsets and onsets.count(min(onsets)) == 1:
        rewards[-1] += 3.0
    return rewards


RULES: dict[str, Callable[[list[int]], list[float]]] = {
    definition.__name__: definition
    for definition in (
        key,
        tonic,
        penalize_repeating,
        penalize_autocorrelation,
        motif,
        repeated_motif,
        preferred_intervals,
        leap_up_back,
        high_low_unique,
    )
}
