"""What is fitted to labelled faces: scorer, thresholds, gender head, occlusion."""
