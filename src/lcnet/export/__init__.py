"""A model for other engines, a file a format; what differs from our runtime's answers is never kept."""
