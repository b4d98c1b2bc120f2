"""When enough samples have been drawn: the rule of adaptive consistency.

Aggarwal et al. (arXiv:2305.11860, section 3): with a flat prior over the answers, the posterior of
the leader's share among it and the runner-up, p1 / (p1 + p2), is Beta(v1 + 1, v2 + 1), whatever
other answers there are (a Dirichlet's shares of two are a Beta). Sampling stops once the leader is
the likelier answer, p1 > p2, with a chosen probability. Leaves out priors that aren't flat.
"""

from __future__ import annotations

import numpy as np
from scipy.special import bdtr

from reasonkit.voting.ballots import BLANK, Floats, Ints


def sureness(leader: Ints, second: Ints) -> Floats:
    """The posterior probability that the leader, of v1 votes, is likelier than the second, of v2.

    For whole numbers of votes the integral of the Beta density over (1/2, 1) has a closed form::

        P(p1 > p2) = P(Binomial(v1 + v2 + 1, 1/2) <= v1)
    """
    return np.asarray(bdtr(leader, leader + second + 1, 0.5))


def front_runners(votes: Ints) -> tuple[Ints, Ints]:
    """The largest and the second-largest number of votes of each draw, from (draws, classes)."""
    padded = np.pad(votes, ((0, 0), (0, 2)))
    second, leader = np.partition(padded, -2, axis=1)[:, -2:].T
    return leader, second


def stops(classes: Ints, threshold: float, round_size: int, most: int) -> Ints:
    """After how many samples each draw stops.

    It is looked at after every ``round_size`` samples, and stops when the leader is the likelier
    answer with probability ``threshold``, or when the runner-up can't catch up any more.

    Args:
        classes: (draws, k) the samples so far, in the order in which they were drawn; blank ones
            are no votes but cost a sample.
        most: samples a question at most; at least k.

    Returns:
        (draws,) from 1 to ``most``, which stands for a draw that doesn't stop within its k samples.
    """
    draws, k = classes.shape
    lengths = np.full(draws, most)
    votes = np.zeros((draws, int(classes.max(initial=BLANK)) + 1), dtype=np.int64)
    running = np.arange(draws)
    for n in range(1, min(k, most - 1) + 1):
        chosen = classes[running, n - 1]
        voting = chosen != BLANK
        votes[running[voting], chosen[voting]] += 1
        if n % round_size:
            continue
        leader, second = front_runners(votes[running])
        sure = (leader > second) & (sureness(leader, second) >= threshold)
        done = sure | (leader > second + most - n)
        lengths[running[done]] = n
        running = running[~done]
        if not len(running):
            break
    return lengths
