"""The operators' pages: what needs a person over all builders, and a record of what operators did about it."""
