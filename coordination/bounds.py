"""Bounds: the named limits of coordination, in one frozen value that bootstrap may replace.

Invariant: every loop, retry, lease and batch of this package takes its limit from here or from a constant beside the code.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits and waits; seconds where the name says so."""

    #: Changes one feed step reads.
    batch: int = 500
    #: Work that one feed step commits; a batch that makes more is halved until it fits, or is one change.
    batch_work_max: int = 2_000
    #: How long one feed reader may be silent before another takes over.
    feed_lease_seconds: float = 2.0
    #: How long a living worker may hold a piece of work before it is given to another; a dead one's is given away at once.
    work_lease_seconds: float = 300.0
    #: How often a worker process gives a sign of life, and how long one counts.
    beat_seconds: float = 1.0
    beat_lease_seconds: float = 5.0
    #: Claims of one piece of work before it is put aside for a person.
    attempts_max: int = 6
    #: First wait after a failure; it doubles each time, with jitter, up to `backoff_max_seconds`.
    backoff_seconds: float = 0.5
    backoff_max_seconds: float = 300.0
    #: How long work of a stopped agent waits before it looks again; when the control lets go it is released at once.
    hold_seconds: float = 60.0
    #: Rows that one release looks through.
    release_rows_max: int = 100_000
    #: A change caused by an effect caused by a change …: deeper ones wake nobody.
    cause_depth_max: int = 8
    #: How long an approval may be given.
    approval_seconds: float = 7 * 86_400.0
    #: Rows one reconcile step looks at.
    reconcile_batch: int = 500
    #: How long a message is given before it is sent again; for work that nobody takes the wait doubles up to the second.
    resend_seconds: float = 5.0
    resend_max_seconds: float = 600.0
    #: How long the process that sends again what is left may be silent before another does it.
    reconcile_lease_seconds: float = 4.0
    #: How long rows of done work are kept, and how often the next page of them is looked through.
    retention_seconds: float = 7 * 86_400.0
    sweep_seconds: float = 60.0
    #: Tries of one commit that lost a race, before the work goes back to wait.
    race_tries_max: int = 5
    #: Open proposals on one target that conflict resolution looks at.
    rivals_max: int = 1_000
