"""The sweeper: finishes what events did not, and completes READY versions that lack something."""
