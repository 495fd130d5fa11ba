"""How versions go out of service: retired by age or by loss, and deleted with their model."""
