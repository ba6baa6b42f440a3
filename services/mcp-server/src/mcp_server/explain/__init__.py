"""Why a key was not found, and which key was probably meant."""
