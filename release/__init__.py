"""Makes what is given to users, and the papers that go with it."""
