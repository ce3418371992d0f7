"""The transport through shared memory, for ranks of one machine, and what it is made of."""
