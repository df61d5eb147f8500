"""Runs of agents: folders that are stopped and resumed bit for bit, many of them side by side. Uses `agents`."""
