"""What a language model is asked: one module a kind of question, with its instruction, its schema and its judge."""
