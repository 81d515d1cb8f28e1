"""What every test runs under."""

from hypothesis import settings

settings.register_profile("meshmove", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("meshmove")
