"""Traces: a teacher's completions, sampled or given, filtered, and put as a student learns them."""
