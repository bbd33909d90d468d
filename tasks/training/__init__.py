"""Text to model: tokenize, pack, pretrain, finetune."""
