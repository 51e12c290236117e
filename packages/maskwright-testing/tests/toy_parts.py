"""Empty: the fixture `declare` puts toy Params classes here while a test runs, and other processes can import it."""
