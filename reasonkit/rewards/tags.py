"""Partial credit for each tag of the think-answer format, for a model that never writes all four.

As open-r1's ``tag_count_reward``, except that a tag pays only where it encloses something; its
empty tags pay in full.
"""

from __future__ import annotations

import re

from reasonkit.answers.reading import TAGS

_ANY_TAG = re.compile(r"</?(?:think|answer)\b[^>]*>?")


def credit(text: str) -> float:
    """A quarter for each of `TAGS` that stands in the text exactly once and encloses something.

    What an opening tag encloses is the text up to the next tag of either kind, what a closing one
    does is the text since the last; it must have a letter or a digit. A tag that stands before one
    that belongs before it pays nothing.
    """
    paid, reached = 0, -1
    for i, tag in enumerate(TAGS):
        place = text.find(tag)
        if text.count(tag) != 1 or place < reached:
            continue
        opens = i % 2 == 0
        enclosed = (
            _ANY_TAG.split(text[place + len(tag) :], maxsplit=1)[0]
            if opens
            else _ANY_TAG.split(text[:place])[-1]
        )
        if any(character.isalnum() for character in enclosed):
            paid, reached = paid + 1, place
    return paid / len(TAGS)
