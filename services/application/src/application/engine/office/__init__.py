"""Office files: archives, their XML, Word, Excel."""
