"""Elections among sampled answers: pure functions over ballots, no model and no torch.

`ballots` turns a group of completions into arrays, `selection` elects, `stopping` knows when more
samples can't matter, `curves` tells what fewer would have given, `strategies` is the table that
the command line offers.
"""
