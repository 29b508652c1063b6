"""Proposes mappings between two systems; its only output is a spec that a person approves."""
