"""Heads say of a region its class and box, its mask, its keypoints."""
