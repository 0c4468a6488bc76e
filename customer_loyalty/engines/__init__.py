"""The engines that a build can run on, and the choice between them."""
