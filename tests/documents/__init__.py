"""The commands of the documents, performed."""
