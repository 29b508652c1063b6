"""What makes the runner's processes move: worker threads, wakes between processes, and repeated jobs.

Nothing here decides what is right. What is to be done stands in the inbox, who may do it in the lanes, what was done in
the ledger; an engine only sees to it that somebody looks, soon. A wake that is lost costs a second, until the sweep.
"""
