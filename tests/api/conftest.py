"""What of this folder is no test."""

collect_ignore = ["checked_program.py"]  # for type checkers; nothing of it can run
