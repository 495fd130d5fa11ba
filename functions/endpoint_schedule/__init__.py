"""The clock's function: an endpoint that is there in working hours."""
