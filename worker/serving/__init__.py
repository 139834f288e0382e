"""Which head judges: heads and networks by hash, the champion, its calibration."""
