"""Bad input for the whole command line: ``python -m tests.fuzz --seed N --cases 10000``, or ``make fuzz``.

A case is drawn from its seed and its index alone: a command line, the files that it reads, and the environment. It runs
in a folder that holds a stranger's files. What must hold afterwards is in :mod:`tests.fuzz.judge`.
"""
