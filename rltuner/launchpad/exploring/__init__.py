"""The tabular experiment: Q-learning on 32 states, exploration by rewards, and the exact optimum."""
