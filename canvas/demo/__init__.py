"""The laptop demo: the whole road, from licensed images to a dashboard, at a size two CPU cores can walk."""
