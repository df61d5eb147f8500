"""Deep Q-learning on boards: networks, replay, training, policies, and what they are compared with."""
