"""Money: attempts to pay, refunds, disputes, and the ledger of what moved. No function here calls Stripe."""
