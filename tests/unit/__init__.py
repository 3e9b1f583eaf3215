"""One twin for each module of the services. What needs a broker is in tests/broker, tests/system and tests/chaos."""
