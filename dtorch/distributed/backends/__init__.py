"""Ways to move arrays between ranks: the protocol of transports, and shared memory as the first one."""
