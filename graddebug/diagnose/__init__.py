"""Judgement: rules over the facts of the ledger, the engine that runs them, the registry that finds them."""
