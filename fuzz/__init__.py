"""Every parser is given random and damaged inputs from a seed: it may refuse them in our words, and nothing else.

A target is one small function; see `fuzz.target`. Not part of the package.
"""
