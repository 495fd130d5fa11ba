"""Ten thousand models behind one endpoint of the local stack."""
