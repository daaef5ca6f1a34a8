"""Shipped settings files, each validated by a test."""
