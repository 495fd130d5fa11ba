"""AWS on this machine: fakes of its clients, moto's account, LocalStack."""
