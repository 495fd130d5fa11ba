"""Whether the template's policies allow the calls that functions make."""
