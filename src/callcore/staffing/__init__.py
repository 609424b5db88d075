"""How many people, and what callers would live through: exact formulas, and the core itself as a simulator.

- `erlang`: Erlang B, C and A in exact form.
- `world`: callers, phones and after-call work on a virtual clock, around `domain.step`.
- `trial`: one seeded run of that world, measured by `domain.measures`, with confidence intervals.

Nothing here reads a clock, opens a socket or knows an adapter.
"""

from callcore.staffing.erlang import Erlang, StaffingError, erlang_a, erlang_b, erlang_c
from callcore.staffing.trial import Estimate, Plan, Trial, run_trial

__all__ = [
    "Erlang",
    "Estimate",
    "Plan",
    "StaffingError",
    "Trial",
    "erlang_a",
    "erlang_b",
    "erlang_c",
    "run_trial",
]
