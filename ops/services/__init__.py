"""
The real servers that the tests talk to: `python -m ops.services -- COMMAND...` finds or starts PostgreSQL and RabbitMQ, runs
the command with their addresses in its environment, and stops what it started.

Sources, in this order, for each server apart: the address given in the environment; a server already running on this machine;
a container; a temporary server of its own, from the programs installed here or, for root on Debian, installed now.
A server that was already running is never reconfigured nor stopped.
"""
