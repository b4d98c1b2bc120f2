"""Extracting final answers from completions, and comparing them."""
