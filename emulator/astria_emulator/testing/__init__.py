"""Tools for users' tests: mock_astria, the fixture, exec and check-client."""
