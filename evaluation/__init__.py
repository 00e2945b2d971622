"""Evaluation: galleries are painted by samplers and measured by metrics."""
