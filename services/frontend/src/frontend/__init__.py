"""The web page: Langflow with the components, the flow and the login of the File Processing System."""
