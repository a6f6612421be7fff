"""Pose by Procrustes analysis and PCA, and the balancing by it (Section 5)."""
