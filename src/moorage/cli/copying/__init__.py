"""``moor cp``: trees as tar, out of this machine and, safely, into it."""
