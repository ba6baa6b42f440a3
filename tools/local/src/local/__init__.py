"""The whole system on one machine: stand-ins for AWS and the cluster, sample departments, an edge."""
