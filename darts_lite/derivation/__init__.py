"""Derives architectures from shares: costs, rules, budgets, consensus."""
