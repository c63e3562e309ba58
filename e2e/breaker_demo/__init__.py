"""The demo of the circuit breaker: three ways in which an API fails, and three in which it is helped."""
