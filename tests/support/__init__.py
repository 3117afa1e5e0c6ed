"""The test kit: a real daemon, real clients, images made on the spot, and a guard against leaks."""
