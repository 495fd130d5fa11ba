"""Onboarding: an uploaded artifact becomes a proven, registered version, or is rejected."""
