"""Text to model: tokenize, pack, pretrain, finetune; taggers and classifiers of pairs."""
