"""What is planted in the company: one module a kind of situation, each with its decoys and its part of the truth."""
