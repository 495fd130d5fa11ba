"""What AWS defines: its environment variables, media types, events and signed forms."""
