"""How it is trained: the compiled step, the loop, checkpoints, fine-tuning."""
