"""One program a peer, in the form of its documentation's first page and hardened as its documentation allows."""
