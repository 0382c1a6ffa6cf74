"""Where frames come from: one module for each protocol, and the sockets around them.

Each protocol has pure functions from the parts of a message to what the message says; `runs` makes series out of that,
and `pull` owns the sockets.
"""
