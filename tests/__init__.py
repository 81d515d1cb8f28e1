"""The tests, a folder for each folder of the source; what they share is imported by its path from here."""
