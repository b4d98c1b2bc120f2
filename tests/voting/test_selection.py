"""Elections against their definitions, spelled out one sample at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.voting.ballots import BLANK
from reasonkit.voting.selection import (
    POWER,
    best_of_n,
    borda,
    confident,
    majority,
    representative,
    top_k_vote,
    weighted,
)

WEIGHTS = st.one_of(st.just(float("nan")), st.integers(0, 8).map(lambda i: i / 8))
SAMPLES = st.lists(st.tuples(st.integers(BLANK, 3), WEIGHTS), min_size=1, max_size=9)
DRAWS = st.integers(1, 7).flatmap(
    lambda k: st.lists(
        st.lists(st.tuples(st.integers(BLANK, 3), WEIGHTS), min_size=k, max_size=k),
        min_size=1,
        max_size=5,
    )
)


def arrays(draws: list) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([[c for c, _ in draw] for draw in draws]),
        np.array([[w for _, w in draw] for draw in draws], dtype=float),
    )


def known(weight: float) -> float:
    return 0.0 if np.isnan(weight) else weight


def by_hand(draw: list, worth: list) -> int:
    """The class that is best by each worth in turn, then the first to appear."""
    classes = list(dict.fromkeys(c for c, _ in draw if c != BLANK))
    return max(
        classes,
        key=lambda c: (*(f([w for d, w in draw if d == c]) for f in worth), -classes.index(c)),
        default=BLANK,
    )


def summed(weights: list) -> float:
    return sum(map(known, weights))


@given(DRAWS)
def test_majority_counts_votes_then_weights_then_takes_the_first(draws: list) -> None:
    assert majority(*arrays(draws)).tolist() == [by_hand(d, [len, summed]) for d in draws]


@given(DRAWS)
def test_weighted_sums_and_never_averages(draws: list) -> None:
    assert weighted(*arrays(draws)).tolist() == [by_hand(d, [summed]) for d in draws]


def test_one_heavy_vote_does_not_outweigh_many_lighter_ones() -> None:
    assert weighted(*arrays([[(0, 0.9), (1, 0.5), (1, 0.5), (1, 0.5)]])).tolist() == [1]


@given(DRAWS)
def test_best_of_n_is_the_first_of_the_best_scored_that_has_an_answer(draws: list) -> None:
    def best(draw: list) -> int:
        answered = [(c, -np.inf if np.isnan(w) else w) for c, w in draw if c != BLANK]
        return max(answered, key=lambda pair: pair[1], default=(BLANK, 0.0))[0]

    assert best_of_n(*arrays(draws)).tolist() == [best(draw) for draw in draws]


@given(DRAWS, st.integers(1, 9))
def test_top_k_vote_is_a_majority_among_the_k_best(draws: list, k: int) -> None:
    def expected(draw: list) -> int:
        answered = [i for i, (c, _) in enumerate(draw) if c != BLANK]
        answered.sort(key=lambda i: -(-np.inf if np.isnan(draw[i][1]) else draw[i][1]))
        return by_hand([draw[i] for i in sorted(answered[:k])], [len, summed])

    assert top_k_vote(*arrays(draws), k).tolist() == [expected(draw) for draw in draws]


@given(DRAWS)
def test_top_1_is_best_of_n_and_top_all_is_majority(draws: list) -> None:
    classes, scores = arrays(draws)
    assert (top_k_vote(classes, scores, 1) == best_of_n(classes, scores)).all()
    assert (top_k_vote(classes, scores, classes.shape[1]) == majority(classes, scores)).all()


@given(SAMPLES, st.permutations(range(4)))
def test_the_names_of_the_classes_decide_nothing(samples: list, names: list) -> None:
    classes, weights = arrays([samples])
    renamed = np.where(classes == BLANK, BLANK, np.array([*names, BLANK])[classes])
    for select in (majority, weighted, best_of_n):
        (elected,), (other,) = select(classes, weights), select(renamed, weights)
        assert other == (BLANK if elected == BLANK else names[elected])


@given(DRAWS)
def test_a_draw_is_elected_the_same_alone_and_among_others(draws: list) -> None:
    for select in (majority, weighted, best_of_n):
        alone = [int(select(*arrays([draw]))[0]) for draw in draws]
        assert select(*arrays(draws)).tolist() == alone


@given(SAMPLES)
def test_more_votes_for_the_elected_never_unseat_it(samples: list) -> None:
    (elected,) = majority(*arrays([samples]))
    if elected != BLANK:
        (again,) = majority(*arrays([[*samples, (int(elected), 0.5)]]))
        assert again == elected


def test_a_tie_of_votes_goes_to_the_surer_answer_and_a_full_tie_to_the_first() -> None:
    assert majority(*arrays([[(0, 0.25), (1, 0.5)]])).tolist() == [1]
    assert majority(*arrays([[(2, 0.5), (1, 0.5)]])).tolist() == [2]


def test_sums_that_differ_by_rounding_alone_are_a_tie() -> None:
    first = [(0, w) for w in (0.1, 0.2, 0.3)]
    second = [(1, w) for w in (0.3, 0.2, 0.1)]
    assert weighted(*arrays([first + second, second + first])).tolist() == [0, 1]


@given(SAMPLES)
def test_what_speaks_for_an_answer_gave_it_and_weighs_most(samples: list) -> None:
    classes, weights = arrays([samples])
    for elected in {c for c, _ in samples}:
        place = representative(classes[0], weights[0], elected)
        assert samples[place][0] == elected
        members = [known(w) for c, w in samples if c == elected]
        assert known(samples[place][1]) == max(members)


def by_weight(draw: list) -> list[int]:
    """Places of the samples with an answer, heaviest first; NaN is below all."""
    order = [(-np.inf if np.isnan(w) else w, -place) for place, (_, w) in enumerate(draw)]
    return sorted((i for i, (c, _) in enumerate(draw) if c != BLANK), key=lambda i: order[i])[::-1]


@given(DRAWS, st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_the_confident_share_is_weighed_and_the_rest_is_left_out(draws: list, share: float) -> None:
    expected = []
    for draw in draws:
        kept = by_weight(draw)[: max(1, round(share * len(draw)))]
        expected.append(by_hand([draw[i] for i in sorted(kept)], [summed]))
    assert confident(*arrays(draws), share).tolist() == expected


@given(DRAWS)
def test_borda_points_fall_with_the_rank(draws: list) -> None:
    expected = []
    for draw in draws:
        points = [(c, 0.0) for c, _ in draw]
        for rank, i in enumerate(by_weight(draw), 1):
            points[i] = (draw[i][0], (len(draw) - rank + 1) ** POWER)
        expected.append(by_hand(points, [summed]))
    assert borda(*arrays(draws)).tolist() == expected
