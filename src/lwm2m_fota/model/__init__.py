"""The words of LwM2M: objects and resources as data, states and results, paths, codes, content formats."""
