"""multiprocessing under the name by which POET imports it.

master.py seeds numpy's generator and not this one, from which its terrains come: two runs of it never
print the same. Seeded here, they do.
"""

import random
from multiprocessing import *  # noqa: F403

random.seed(7)
