"""Circuit breakers: traffic is taken off what fails, and given back as far as it works again."""
