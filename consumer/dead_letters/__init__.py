"""`consumer dead-letters`: a person's look at what is parked, and its way back or out."""
