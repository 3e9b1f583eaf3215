"""What a person sees: the line that moves and the summary. Pure."""

import re

from common.terminal import printable
from local.counts import Counts


def line(counts: Counts, rates: tuple[float, float], states: dict[str, str]) -> str:
    """Return one line; rates are messages confirmed and handled a second, states what each service says of itself."""
    parts = [
        f"confirmed {counts.confirmed:,} ({rates[0]:,.0f}/s)",
        f"handled {counts.handled:,} ({rates[1]:,.0f}/s)",
    ]
    parts += [f"{name} {count:,}" for name in ("unconfirmed", "retried", "parked") if (count := getattr(counts, name))]
    return printable("  ".join(parts) + "  |  " + "  ".join(f"{name} {state}" for name, state in states.items()))


def state(ready: bool, reasons: list[str]) -> str:
    """Return `ready`, or why not; what each start goes through, in few words."""
    if ready:
        return "ready"
    told = dict.fromkeys(re.sub(r"^\w+: ", "", each) for each in reasons)
    if told and all(each == "connecting" or "(yet" in each for each in told):
        return "waits for the broker"
    return f"not ready ({', '.join(told) or 'no reason given'})"


def summary(counts: Counts, seconds: float, exact: bool, keeps: bool) -> str:
    """Return the closing lines; `exact` when both services gave their totals, `keeps` when the queue survives."""
    rate = f"{counts.confirmed / seconds:,.0f} a second" if seconds > 0 and counts.confirmed else "nothing flowed"
    rows = [
        (name, f"{getattr(counts, name):>12,}") for name in ("published", "confirmed", "handled", "retried", "parked")
    ]
    rows.append(("duration", f"{seconds:>10.1f} s  {rate}"))
    if not exact:
        rows.append(("lost", f"{'unknown':>12}  a service was killed: what it did after the last look is not counted"))
    elif counts.left:
        fate = "they stay in the queue" if keeps else "they went away with the private broker"
        rows.append(("left", f"{counts.left:>12,}  confirmed and not handled yet: {fate}"))
    elif counts.settled == counts.confirmed:
        rows.append(("lost", f"{0:>12}  every confirmed message was handled or parked"))
    if counts.unconfirmed:
        rows.append(("unconfirmed", f"{counts.unconfirmed:>12,}  sent, the broker's answer did not come"))
    # A message may be handled though its confirm did not come.
    more = max(0, counts.settled - counts.confirmed - counts.unconfirmed)
    known = f"{more:>12,}{'  or left in the queue by an earlier run' if more and keeps else ''}"
    rows.append(("duplicates", known if exact and not counts.left else f"{'unknown':>12}"))
    return "\n".join(f"{name:<12}{text}" for name, text in rows)
