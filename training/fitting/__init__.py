"""Batches, augmentation, checkpoints, several hosts: how a network is fitted."""
