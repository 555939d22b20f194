"""Hostile bytes for everything that reads a stranger's file: seeds, damage, and what must hold."""
