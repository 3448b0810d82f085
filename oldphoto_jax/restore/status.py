"""How it went with a photo, in one word, as reports say it."""

OK = "ok"
NOTHING = "nothing_to_do"  # nothing was damaged, or asked for
BEYOND = "beyond_training"  # done, but holes were thicker than the network has learned
FAILED = "failed"
