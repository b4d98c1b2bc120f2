"""Extracting final answers from completions, and comparing them."""

from reasonkit.answers.classes import group_equal
from reasonkit.answers.comparison import answers_match, check_reference
from reasonkit.answers.reading import extract_answer

__all__ = ["answers_match", "check_reference", "extract_answer", "group_equal"]
