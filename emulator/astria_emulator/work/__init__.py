"""What happens after the answer: training, generation, and when they run."""
