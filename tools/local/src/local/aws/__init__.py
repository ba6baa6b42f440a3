"""AWS on one machine: moto's server, and what moto leaves out in front of it."""
