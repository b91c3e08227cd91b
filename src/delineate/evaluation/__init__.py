"""How good a system is: pictures gathered and measured, reports, and the quality of proposals."""
