"""Engines that sample completions, behind one protocol (`reasonkit.generation.engine`)."""
