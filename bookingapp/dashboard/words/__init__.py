"""What builders read, made from codes and facts; one module for each subject. Clients' words: ``checkout/words.py``."""
