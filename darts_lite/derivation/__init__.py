"""From shares to an architecture: costs, rules, budgets, consensus."""
