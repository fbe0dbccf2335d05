"""Sounding right: whether an arm's answers could be the agent's, whatever they decide. Each measure says nothing below
a minimum of words, rows and sessions, and each is held against the agent's own distance from itself.
"""
