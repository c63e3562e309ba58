"""A real Kubernetes cluster for tests and demos, with or without a container runtime at hand."""
