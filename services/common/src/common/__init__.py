"""What two or more services truly share: identity, settings, logging, telemetry, problem+json, departments."""
