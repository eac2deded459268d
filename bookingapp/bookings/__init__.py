"""The booking's life: its states, its facts, its history."""
