"""The demo: a mid-size distributor of electrical supplies, made by a seeded generator."""
