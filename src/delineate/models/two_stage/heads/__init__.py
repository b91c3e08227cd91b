"""What is said of a region: its class and box, its mask, its keypoints."""
