"""One file a command: ``run(config, invocation)``. Recipes never import recipes."""
