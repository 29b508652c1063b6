"""Headless runner of approved specs: webhooks and polls in, FreshBooks writes out, each once."""
