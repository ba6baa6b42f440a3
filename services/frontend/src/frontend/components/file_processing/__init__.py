"""The category "File Processing" of Langflow's components."""
