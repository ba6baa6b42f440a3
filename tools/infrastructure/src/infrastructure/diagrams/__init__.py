"""The pictures of docs/diagrams, drawn from the plans and the overlays, so that they cannot say something else."""
