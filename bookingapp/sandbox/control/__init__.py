"""The control page and the control API: faults, and what people do in a provider's dashboard."""
