"""The money: one row for each attempt to pay, and a ledger of what moved."""
