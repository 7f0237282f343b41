"""Work after the answer: training and generation, and when they run."""
