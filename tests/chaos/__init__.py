"""The chaos suite: the runner's real processes under faults and kills, judged by what reached the books."""
