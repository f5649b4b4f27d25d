"""Numerics as plain functions on tensors, for any rank and both data formats. Knows torch and nothing of layers."""
