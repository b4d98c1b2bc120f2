"""How the embedded models are made: their tokenizer, their corpus and their pre-training.

``python -m reasonkit.models.abacus.pretrain`` rebuilds each from nothing.
"""
