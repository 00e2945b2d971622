"""Training: licensed images become a model, from folder to folder, each with a manifest."""
