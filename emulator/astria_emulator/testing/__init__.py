"""For the tests of others: mock_astria, the fixture, exec and check-client."""
