"""The language model as a careful colleague: it proposes, samples dispose, and without it everything still works.

`prompts` builds everything that leaves, `endpoint` is the one module that imports openai, `colleague` is what the
command line and the app call.
"""
