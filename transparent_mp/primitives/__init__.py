"""What the leaves of `multiprocessing` become; file names mirror Lib/multiprocessing."""
