"""The fence: all that knows a private name of pika. It acts on connections of ours alone."""
