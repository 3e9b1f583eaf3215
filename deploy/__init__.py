"""The deployment: manifests, and the Secrets for them."""
