"""The one thread that touches the device, and the networks resident on it."""
