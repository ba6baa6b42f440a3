"""What two or more services truly share, and nothing else."""
