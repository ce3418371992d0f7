from ranks import meeting, run_ranks, start_ranks

__all__ = ["meeting", "run_ranks", "start_ranks"]  # fixtures
