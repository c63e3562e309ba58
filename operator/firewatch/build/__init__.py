"""Pure builders: models and observed inputs in, Kubernetes objects and configuration texts out."""
