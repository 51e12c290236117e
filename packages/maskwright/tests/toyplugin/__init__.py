"""A plugin with one of everything, for the tests of the core. No numpy, no torch."""
