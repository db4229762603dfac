"""One web page for everything: runs, sessions, models. It reads what the other packages write, and commands sessions through their mailbox.

It holds no state of its own but its token: stopping it stops nothing and loses nothing.
"""
