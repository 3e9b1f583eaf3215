"""Images, Compose, manifests, and the pair on a real cluster."""
