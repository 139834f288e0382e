"""Networks, head and manifest together, on disk and in memory."""
